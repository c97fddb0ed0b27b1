"""What models share: rates, lengths, input checks, padding and its masks, and interpolation."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tonezoo.arguments import integer, one_of
from tonezoo.audio.interpolation import high_pass_taps
from tonezoo.audio.levels import MIXTURE_LEVELS
from tonezoo.layers import Interpolate1D, MelSpectrogram1D
from tonezoo.layers.signal_layer import convolve

INTERPOLATIONS = ("cubic", "sinc")
# Hops of a vocoder's window, as MelGAN has them and most vocoders since.
MEL_OVERLAP = 4


class AudioModel(keras.Model):
    """Base of the models that tonezoo trains for a task, exports and runs on audio.

    A subclass names its `task`, one of `tonezoo.tasks`, and says of its network what running it in
    pieces needs: `grid_samples` and `context_samples`, both in samples of the output.

    Args:
        channels: of the input, 1 or more: audio channels, or the bands of a mel spectrogram.
        sample_rate_hz: rate of the output, an integer. The network's numbers do not depend on it;
            inference and export do.

    Input: `waveform` (batch, time, channels), any time of at least 1. Its audio path stays in
    float32 under mixed precision.

    Raises:
        ValueError: a sample rate that is no whole number of at least 1.
    """

    task: str

    def __init__(self, channels: int, *, sample_rate_hz: int, **kwargs):
        # float16 would put an audio path's own rounding noise at -66 dB. A subclass's layers
        # compute in reduced precision where that is asked for.
        super().__init__(autocast=False, **kwargs)
        self.channels = channels
        self.sample_rate_hz = integer("sample_rate_hz", sample_rate_hz)

    @property
    def grid_samples(self) -> int:
        """Shifts, in output samples, to which the network is equivariant."""
        return 1

    @property
    def context_samples(self) -> int:
        """Output samples that a piece needs on each side to equal the whole signal's output."""
        return 0

    @property
    def receptive_field_samples(self) -> int | None:
        """Samples on which an output sample can depend at most; None for all of the signal."""
        return 2 * self.context_samples + 1

    @property
    def purpose(self) -> str:
        """What it makes of what, in words; weights do not suit a network of another purpose."""
        return f"{self.channels} channels at {self.sample_rate_hz} Hz"

    def check_waveform(self, shape) -> None:
        """Raises ValueError unless `shape` is (batch, time, channels), at least one sample."""
        check_waveform(self, shape, self.channels)

    def get_config(self):
        return {**super().get_config(), "sample_rate_hz": self.sample_rate_hz}


class SuperResolutionModel(AudioModel):
    """Base of models that correct an interpolation: output = x + residual(x), x = spline(input).

    A subclass implements `residual(x, mask, training)` on signals whose length is a multiple of
    2 ** `levels`, and names its layers' total span in `span_samples`.

    Any length of at least one sample is accepted: x is padded with zeros at its end to the next
    multiple of 2 ** `levels`, and the output is cropped to exactly `ratio` times the input.
    With `lengths`, signals of different lengths share a zero-padded batch and each gives what it
    gives alone: the padding is zeroed again before every convolution, at every resolution.

    Args:
        levels: number of halvings of the resolution inside the network.
        ratio: upsampling ratio R, an integer of at least 2.
        sample_rate_hz: rate of the output; the input's is sample_rate_hz / ratio.
        interpolation: "cubic", the papers' spline, or "sinc" (ours): see `Interpolate1D`.
        keep_below: 0 to 1, share of the input's band that the residual leaves alone (ours): a fixed
            linear-phase high-pass takes from the residual what lies below; 0 for none.

    Inputs: `waveform` (batch, time, 1), low rate; `lengths` (batch,), valid low-rate samples of
    each signal, or None. Output: (batch, ratio * time, 1), in float32 also under mixed precision.

    Raises:
        ValueError: a ratio below 2, an interpolation or keep_below that is not offered, or an input
            that is not (batch, time >= 1, 1).
    """

    task = "super_resolution"

    def __init__(
        self,
        levels: int,
        *,
        ratio: int,
        sample_rate_hz: int,
        interpolation: str = "cubic",
        keep_below: float = 0.0,
        **kwargs,
    ):
        super().__init__(1, sample_rate_hz=sample_rate_hz, **kwargs)
        if not isinstance(ratio, int) or ratio < 2:
            raise ValueError(f"ratio must be an integer of at least 2, but is {ratio!r}.")
        if interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation must be one of {INTERPOLATIONS}, but is {interpolation!r}."
            )
        if not 0 <= keep_below < 1:
            raise ValueError(f"keep_below must be at least 0 and below 1, but is {keep_below!r}.")
        self.ratio = ratio
        self.levels = levels
        self.interpolation = interpolation
        self.keep_below = keep_below
        self.interpolate = Interpolate1D(ratio, interpolation, dtype=self.variable_dtype)
        self.high_pass = high_pass_taps(keep_below / ratio, ratio) if keep_below else np.ones(1)

    @property
    def purpose(self) -> str:
        return f"x{self.ratio} to {self.sample_rate_hz} Hz"

    @property
    def span_samples(self) -> int:
        """Sum over the convolutions of (length - 1) * sample spacing, in high-rate samples."""
        raise NotImplementedError

    def residual(self, x, mask, training):
        """Returns the correction of x (batch, time, 1); see `LengthMask` for `mask`."""
        raise NotImplementedError

    @property
    def grid_samples(self) -> int:
        """Shifts, in high-rate samples, to which the network is equivariant and R divides."""
        return math.lcm(2**self.levels, self.ratio)

    @property
    def receptive_field_samples(self) -> int:
        """Interpolated samples on which the outputs of one grid position can depend."""
        return len(self.high_pass) + self.span_samples + 2**self.levels - 1

    @property
    def context_samples(self) -> int:
        """High-rate samples that a chunk needs on each side to equal the whole signal's output."""
        return (
            self.receptive_field_samples // 2
            + 2**self.levels
            + max(self.interpolate.context) * self.ratio
        )

    def build(self, input_shape):
        if self.built:
            return
        self.interpolate.build((input_shape[0], None, 1))
        self.build_residual((input_shape[0], None, 1))
        self.built = True

    def call(self, waveform, lengths=None, training=False):
        self.check_waveform(waveform.shape)
        waveform = ops.cast(waveform, self.variable_dtype)
        if lengths is not None:
            lengths = ops.cast(lengths, "int32")
            waveform = hold_last_sample(waveform, lengths)
        x = self.interpolate(waveform)
        samples = None if lengths is None else lengths * self.ratio
        mask = LengthMask(samples, self.levels)
        return mask.zero_padding(x + self.correction(x, mask, training), exact=True)

    def correction(self, x, mask=None, training=False):
        """Returns what the model adds to its interpolation x, of the shape (batch, time, 1) of x.

        Args:
            mask: a `LengthMask` for a batch of signals of different lengths.
        """
        mask = mask or LengthMask(None, self.levels)
        padded = pad_to_multiple(x, 2**self.levels)
        residual = self.residual(mask.zero_padding(padded, exact=True), mask, training)
        residual = ops.cast(residual, x.dtype)
        if self.keep_below:
            kernel = ops.convert_to_tensor(self.high_pass[:, None, None], x.dtype)
            residual = convolve(mask.zero_padding(residual), kernel, padding="same")
        return residual[:, : ops.shape(x)[1]]

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return (batch, None if time is None else time * self.ratio, 1)

    def get_config(self):
        return {
            **super().get_config(),
            "ratio": self.ratio,
            "interpolation": self.interpolation,
            "keep_below": self.keep_below,
        }


class SeparationModel(AudioModel):
    """Base of models that take a mixture apart into its sources.

    A subclass has `valid_length` and `output_length`: which inputs its `network`, which training
    calls, takes without padding, and how much of their middle it answers.

    Args:
        sources: names of the sources, in the order of the output.
        channels: audio channels.
        sample_rate_hz: rate that it is trained at.
        mixture_level: "standard" if the network expects mixtures of mean 0 and standard deviation
            1, which `tonezoo.separate` and the exported model see to; "file" if it expects the
            samples as they are.

    Input: `waveform` (batch, time, channels), any time of at least 1. Output: (batch, time, source,
    channels), in float32 also under mixed precision.

    Raises:
        ValueError: sources that are not different names, at least one; channels below 1; an unknown
            level.
    """

    task = "separation"

    def __init__(
        self,
        sources: Sequence[str],
        channels: int,
        *,
        sample_rate_hz: int,
        mixture_level: str = "standard",
        **kwargs,
    ):
        super().__init__(integer("channels", channels), sample_rate_hz=sample_rate_hz, **kwargs)
        self.sources = tuple(sources)
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise ValueError(f"sources must be different names, at least one, but are {sources}.")
        self.mixture_level = one_of("mixture_level", mixture_level, MIXTURE_LEVELS)

    @property
    def purpose(self) -> str:
        return f"{', '.join(self.sources)} of {super().purpose}"

    def valid_length(self, length):
        """Returns the shortest input of `network` whose output has at least `length` samples."""
        raise NotImplementedError

    def output_length(self, length: int) -> int:
        """Returns how many samples `network` makes of `length`, one of its valid lengths."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape):
        return (*input_shape[:2], len(self.sources), self.channels)

    def get_config(self):
        return {
            **super().get_config(),
            "sources": self.sources,
            "channels": self.channels,
            "mixture_level": self.mixture_level,
        }


class VocodingModel(AudioModel):
    """Base of models that make a waveform of a mel spectrogram.

    Attributes:
        front_end: the layer that makes the input of a waveform (batch, time, 1).

    Args:
        bands: of the spectrogram.
        hop_samples: output samples of each frame, even. Its window is four hops.
        sample_rate_hz: rate of the waveform.
        lowest_hz, highest_hz: edges of the lowest and the highest band; None for half the rate.

    Input: `mel` (batch, frames, bands), as `front_end` makes it, at least one frame. Output:
    (batch, frames * hop_samples, 1), in float32 also under mixed precision.

    Raises:
        ValueError: bands or a hop that are no whole numbers of at least 1, an odd hop, or bands
            of which one holds no bin or lies above half the rate.
    """

    task = "vocoding"

    def __init__(
        self,
        bands: int,
        hop_samples: int,
        *,
        sample_rate_hz: int,
        lowest_hz: float = 0.0,
        highest_hz: float | None = None,
        **kwargs,
    ):
        super().__init__(integer("bands", bands), sample_rate_hz=sample_rate_hz, **kwargs)
        self.hop_samples = integer("hop_samples", hop_samples)
        if hop_samples % 2:
            raise ValueError(
                f"The hop has to be an even number of samples, but is {hop_samples}: windows are "
                "centred on the middle of a hop."
            )
        self.lowest_hz, self.highest_hz = lowest_hz, highest_hz
        # The layer that makes the input of a waveform (batch, time, 1).
        self.front_end = MelSpectrogram1D(
            bands,
            MEL_OVERLAP * hop_samples,
            hop_samples,
            sample_rate_hz,
            lowest_hz,
            highest_hz,
            dtype=self.variable_dtype,
        )

    @property
    def bands(self) -> int:
        """Of the input."""
        return self.channels

    @property
    def purpose(self) -> str:
        hop, rate_hz = self.hop_samples, self.sample_rate_hz
        return f"{self.bands} mel bands, {hop} samples apart, at {rate_hz} Hz"

    @property
    def grid_samples(self) -> int:
        return self.hop_samples

    def check_mel(self, shape) -> None:
        """Raises ValueError unless `shape` is (batch, frames, bands), at least one frame."""
        if len(shape) != 3 or shape[2] != self.bands or shape[1] == 0:
            raise ValueError(
                f"{type(self).__name__} takes (batch, frames, {self.bands}) with at least one "
                f"frame, but got {tuple(shape)}. Its front_end makes it of a waveform."
            )

    def compute_output_shape(self, input_shape):
        batch, frames, _ = input_shape
        return batch, None if frames is None else frames * self.hop_samples, 1

    def get_config(self):
        return {
            **super().get_config(),
            "bands": self.bands,
            "lowest_hz": self.lowest_hz,
            "highest_hz": self.highest_hz,
        }


class LengthMask:
    """Zeroes the padding of a batch at any resolution of a network; does nothing without lengths.

    A signal alone is padded to a multiple of 2 ** levels and the network computes on all of it, so
    a signal in a batch is valid up to that multiple: at spacing s, the first ceil(length) / s
    frames.

    Args:
        lengths: (batch,) valid samples at the full rate, or None.
        levels: number of halvings of the resolution.
    """

    def __init__(self, lengths, levels: int):
        self.lengths = lengths
        self.grid = 2**levels

    def zero_padding(self, x, *, spacing: int = 1, exact: bool = False):
        """Returns x (batch, time, channels) with zeros past each length.

        Args:
            spacing: full-rate samples between two frames of x.
            exact: True to cut at the length itself, not at its multiple of 2 ** levels.
        """
        if self.lengths is None:
            return x
        lengths = self.lengths if exact else -(-self.lengths // self.grid) * self.grid
        frames = ops.arange(ops.shape(x)[1], dtype="int32")
        keep = frames[None, :] < (lengths // spacing)[:, None]
        return ops.where(keep[:, :, None], x, ops.zeros_like(x))


def hold_last_sample(x, lengths):
    """Returns x (batch, time, channels), each signal's last valid sample held past its length.

    The spline of a padded signal then ends as the spline of the signal alone does.
    """
    frames = ops.arange(ops.shape(x)[1], dtype="int32")
    last = ops.maximum(lengths - 1, 0)
    return ops.take_along_axis(x, ops.minimum(frames[None, :], last[:, None])[:, :, None], axis=1)


def pad_to_multiple(x, multiple: int):
    """Returns x (batch, time, channels), zero-padded at the end to a multiple of frames."""
    batch, time, channels = ops.shape(x)
    # Not -time % multiple: ONNX has another remainder of negative numbers.
    missing = (time + multiple - 1) // multiple * multiple - time
    return ops.concatenate([x, ops.zeros((batch, missing, channels), x.dtype)], axis=1)


def centre(x, length):
    """Returns the middle `length` samples of x (batch, time, ...), the odd one cut at the end."""
    if isinstance(length, int) and x.shape[1] == length:
        return x  # The gradient of a slice costs as much as a convolution's.
    start = (ops.shape(x)[1] - length) // 2
    return x[:, start : start + length]


def check_waveform(model, shape, channels: int = 1):
    """Raises ValueError unless `shape` is (batch, time, channels) with at least one sample."""
    if len(shape) != 3 or shape[2] != channels or shape[1] == 0:
        remedy = " Put channels on the batch axis." if channels == 1 else ""
        raise ValueError(
            f"{type(model).__name__} takes (batch, time, {channels}) with at least one sample, but "
            f"got {tuple(shape)}.{remedy}"
        )


def divide_widths(divisor: int, **widths) -> dict:
    """Returns widths divided by `divisor`, tuples element by element: a preset made narrower."""
    return {
        name: tuple(w // divisor for w in width) if isinstance(width, tuple) else width // divisor
        for name, width in widths.items()
    }
