"""What separators that mask a spectrogram share: transform, masks, Wiener filter, and back."""

from collections.abc import Iterable, Sequence

import keras
import numpy as np
from keras import ops

from tonezoo.arguments import integer, one_of
from tonezoo.layers import STFT1D, InverseSTFT1D
from tonezoo.models.base import SeparationModel
from tonezoo.models.wiener import LEAST_SQUARE, wiener_filter

# Of a bin, re that of the bin that varies most: as quiet as a low-pass leaves some.
LEAST_DEVIATION = 1e-4


class SpectrogramSeparator(SeparationModel):
    """Base of models that estimate a mask of the mixture's spectrogram for each source.

    A subclass implements `mask_network`, a layer from magnitudes (batch, frames, channel, bin) to a
    mask of that shape, of which each source has one, which sees the lowest `input_bins` alone,
    scaled by its `scale_input`. Magnitudes are those of a Fourier transform
    without scale, as PyTorch's. The masked spectra go through `wiener_filter` and back to
    waveforms; at the ends of a signal there are zeros beyond it. Training compares magnitudes: see
    `network` and `training_target`.

    Args:
        sources: names of the sources, in the order of the output.
        channels: audio channels, 1 or 2.
        window_samples, hop_samples: of the transform, see `tonezoo.layers.STFT1D`.
        wiener_iterations: iterations of expectation maximisation; 0 for the masks alone.
        mixture_level, sample_rate_hz: see `tonezoo.models.base.SeparationModel`.

    Input: (batch, time, channels), any time of at least 1. Output: (batch, time, source, channels),
    float32 also under mixed precision.

    Raises:
        ValueError: an option out of its range, iterations of a filter with one source alone, or an
            input of another shape.
    """

    def __init__(
        self,
        *,
        sources: Sequence[str],
        channels: int,
        sample_rate_hz: int,
        window_samples: int = 4096,
        hop_samples: int = 1024,
        wiener_iterations: int = 1,
        **kwargs,
    ):
        one_of("channels", channels, (1, 2))
        super().__init__(sources, channels, sample_rate_hz=sample_rate_hz, **kwargs)
        self.window_samples = integer("window_samples", window_samples)
        self.hop_samples = integer("hop_samples", hop_samples)
        self.wiener_iterations = integer("wiener_iterations", wiener_iterations, least=0)
        if len(self.sources) == 1 and wiener_iterations:
            raise ValueError(
                "A filter between sources needs two of them. Pass wiener_iterations=0 for a model "
                f"of {self.sources[0]} alone. Received: wiener_iterations={wiener_iterations}"
            )
        options = {"dtype": self.variable_dtype}
        self.stft = STFT1D(self.window_samples, self.hop_samples, **options)
        self.inverse_stft = InverseSTFT1D(self.window_samples, self.hop_samples, **options)

    def mask_network(self) -> keras.layers.Layer:
        """Returns a new network of one source; called by the subclass's constructor."""
        raise NotImplementedError

    @property
    def bins(self) -> int:
        """Frequencies from 0 to the Nyquist frequency."""
        return self.stft.bins

    @property
    def context_frames(self) -> int:
        """Frames on each side that reach a frame's mask, what is unbounded apart."""
        return 0

    @property
    def receptive_field_samples(self) -> None:
        """All of what it sees at once, through an LSTM or attention."""
        return None

    @property
    def grid_samples(self) -> int:
        return self.hop_samples

    @property
    def context_samples(self) -> int:
        return self.window_samples + self.context_frames * self.hop_samples

    def valid_length(self, length):
        return -(-length // self.hop_samples) * self.hop_samples

    def output_length(self, length: int) -> int:
        return length

    def build(self, input_shape):
        if self.built:
            return
        for network in self.mask_networks:
            network.build((input_shape[0], None, self.channels, self.bins))
        self.built = True

    def network(self, x, training=False):
        """Returns the magnitudes of the sources of x (batch, time, channels).

        (batch, ceil(time / hop), source, channel, bin).
        """
        magnitudes = self._magnitudes(*self._spectrum(x))
        return self._masks(magnitudes, training) * magnitudes[:, :, None]

    def training_target(self, y):
        """Returns the magnitudes of sources (batch, time, source, channels), as `network` does."""
        batch, time, sources, channels = ops.shape(y)
        y = ops.reshape(y, (batch, time, sources * channels))
        magnitudes = self._magnitudes(*self._spectrum(y))
        shape = (batch, ops.shape(magnitudes)[1], sources, channels, self.bins)
        return ops.reshape(magnitudes, shape)

    def adapt(self, mixtures: Iterable) -> None:
        """Sets the scaling of the networks' inputs by what they will see: mean 0, deviation 1.

        Args:
            mixtures: batches (batch, time, channels), at least one.
        """
        counts, sums, squares = 0, np.zeros(self.bins), np.zeros(self.bins)
        for mixture in mixtures:
            magnitudes = ops.convert_to_numpy(self._magnitudes(*self._spectrum(mixture)))
            # (batch, frames, channel, bin) -> (frame, bin)
            frames = magnitudes.reshape(-1, self.bins).astype("float64")
            counts, sums = counts + len(frames), sums + frames.sum(axis=0)
            squares = squares + (frames**2).sum(axis=0)
        mean = sums / counts
        deviation = np.sqrt(np.maximum(squares / counts - mean**2, 0))
        deviation = np.maximum(deviation, LEAST_DEVIATION * deviation.max())
        for network in self.mask_networks:
            scaling = network.scale_input
            scaling.mean.assign(-mean[: network.input_bins])
            scaling.scale.assign(1 / deviation[: network.input_bins])

    def call(self, waveform, training=False):
        self.check_waveform(waveform.shape)
        x = ops.cast(waveform, self.variable_dtype)
        batch, time, channels = ops.shape(x)
        # At both ends of what the inverse transform gives fewer windows overlap.
        margin = self.window_samples - self.hop_samples
        left = ops.zeros((batch, margin, channels), x.dtype)
        right = ops.zeros((batch, margin + -time % self.hop_samples, channels), x.dtype)
        spectrum = self._spectrum(ops.concatenate([left, x, right], axis=1))
        masks = self._masks(self._magnitudes(*spectrum), training)
        parts = wiener_filter(*spectrum, masks, iterations=self.wiener_iterations)
        return self._waveforms(*parts)[:, margin : margin + time]

    def _spectrum(self, x):
        """Returns real and imaginary parts, (batch, frames, channel, bin), of a waveform."""
        batch, time, channels = ops.shape(x)
        # (batch, time, channel) -> (batch * channel, time)
        parts = self.stft.parts(ops.reshape(ops.transpose(x, (0, 2, 1)), (batch * channels, time)))
        shape = (batch, channels, ops.shape(parts[0])[1], self.bins)
        # (batch * channel, frames, bin) -> (batch, frames, channel, bin)
        return [
            ops.transpose(ops.reshape(part, shape), (0, 2, 1, 3)) * (self.window_samples / 4)
            for part in parts
        ]

    def _magnitudes(self, real, imaginary):
        return ops.sqrt(ops.maximum(real**2 + imaginary**2, LEAST_SQUARE))

    def _masks(self, magnitudes, training):
        """Returns (batch, frames, source, channel, bin)."""
        masks = [network(magnitudes, training=training) for network in self.mask_networks]
        return ops.cast(ops.stack(masks, axis=2), self.variable_dtype)

    def _waveforms(self, real, imaginary):
        """Returns (batch, time, source, channel) of (batch, frames, source, channel, bin)."""
        batch, frames, sources, channels, bins = ops.shape(real)
        y = ops.concatenate([real, imaginary], axis=-1)
        # (batch, frames, source, channel, part * bin) -> (batch * source * channel, frames, ...)
        y = ops.transpose(y, (0, 2, 3, 1, 4))
        y = ops.reshape(y, (batch * sources * channels, frames, 2 * bins))
        y = self.inverse_stft(y) * (4 / self.window_samples)
        y = ops.reshape(y, (batch, sources, channels, frames * self.hop_samples))
        return ops.transpose(y, (0, 3, 1, 2))

    def get_config(self):
        names = ("window_samples", "hop_samples", "wiener_iterations")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


class BinScaling(keras.layers.Layer):
    """Shifts and scales each bin, or scales and then shifts it.

    Args:
        scale_first: True for x * scale + mean, False for (x + mean) * scale.

    Input and output: (batch, frames, channel, bin).
    """

    def __init__(self, scale_first: bool, mean: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.scale_first = scale_first
        self.initial_mean = mean

    def build(self, input_shape):
        bins = input_shape[-1:]
        mean = keras.initializers.Constant(self.initial_mean)
        self.mean = self.add_weight(name="mean", shape=bins, initializer=mean)
        self.scale = self.add_weight(name="scale", shape=bins, initializer="ones")
        self.built = True

    def call(self, x):
        mean, scale = ops.convert_to_tensor(self.mean), ops.convert_to_tensor(self.scale)
        return x * scale + mean if self.scale_first else (x + mean) * scale
