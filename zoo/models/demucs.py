"""Demucs-like source separation from waveform to waveforms, its upsampling layers swappable.

Sources: Défossez et al., "Music Source Separation in the Waveform Domain", 2019, and Pons et al.,
"Upsampling Artifacts in Neural Audio Synthesis", 2021, section 6. No code of the latter's variants
is published: where they place and size the upsampling layers is INFERRED from its parameter counts.
"""

import math
from typing import Any

import keras
from keras import layers, ops

from tonezoo.arguments import integer, one_of
from tonezoo.audio import SOURCES
from tonezoo.layers import UPSAMPLER_KINDS, BidirectionalLSTM
from tonezoo.layers.initializers import bounded_bias, bounded_kernel
from tonezoo.models.base import SeparationModel, centre
from tonezoo.models.demucs_blocks import DemucsDecoderBlock, DemucsEncoderBlock, conv_options
from tonezoo.models.mixture_shares import MixtureShares
from tonezoo.registry import ModelEntry

PADDINGS = ("same", "valid")
# High-rate taps, but low-rate ones for subpixel.
UPSAMPLER_KERNEL_SIZES = {**dict.fromkeys(UPSAMPLER_KINDS, 9), "transposed": 8, "subpixel": 3}


@keras.saving.register_keras_serializable(package="tonezoo")
class Demucs(SeparationModel):
    """Separates a mixture into its sources: a convolutional U-net with an LSTM at the bottom.

    `depth` encoder blocks, the widths doubling from `width` on, a bidirectional LSTM and a linear
    layer back to the width, `depth` decoder blocks, each of whose inputs is added to the output of
    the encoder block of its resolution. The input is padded with zeros on both sides to a length
    that the strides divide (`valid_length`), the output cropped to the input's length.

    The network expects mixtures of mean 0 and standard deviation 1; `tonezoo.separate` and the
    exported model see to it.

    Args:
        sources: names of the sources, in the order of the output.
        channels: audio channels, 1 or 2 as a rule.
        width: filters of the first block.
        depth: number of blocks on each side.
        kernel_size: taps of the strided convolutions.
        stride: downsampling factor of a block.
        encoder_glu_kernel_size, decoder_glu_kernel_size: taps of the convolutions before a GLU.
        upsampler: one of `tonezoo.layers.UPSAMPLER_KINDS`; interpolation is followed by a
            convolution and computed in polyphase form where that is cheaper.
        upsampler_kernel_size: its taps, at the high rate but for "subpixel"; None for 8
            (transposed), 3 (subpixel) or 9 (the others).
        modified: True for the paper's modification against tones: no ReLU in the first block and
            no biases anywhere.
        padding: of the strided and the transposed convolutions, "same" (samples of a block: its
            input's over `stride`) or "valid" (the original).
        glu_padding: of the convolutions before a GLU; "valid" in the original, "same" in later
            versions of the Demucs package.
        lstm_layers: number of bidirectional layers; 0 for none.
        rescale: standard deviation towards which every convolution's initial weights are moved: w
            is divided by sqrt(std(w) / rescale), b by what is expected of that quotient. None
            leaves the initialisation, which is PyTorch's: uniform, bounded by 1 / sqrt(fan_in),
            biases too.
        share_window_samples: None for the sources as the decoder makes them, as the papers have it;
            else (ours) the window, a multiple of 8, of the transform in which they share the
            mixture: each gets as much of every bin as its magnitude has of the sum of theirs. They
            then sum to the mixture, and are silent where it is.
        sample_rate_hz: rate that it is trained at; the network's numbers do not depend on it.

    Input: (batch, time, channels), any time of at least 1. Output: (batch, time, source, channels),
    float32 also under mixed precision.

    Raises:
        ValueError: an option out of its range, or an input of another shape.

    Source: Défossez et al. 2019, section 4; Pons et al. 2021, section 6.

    Example:

    >>> import numpy as np
    >>> model = Demucs(width=4, depth=2, upsampler="nearest")
    >>> model(np.zeros((1, 101, 2), "float32")).shape
    TensorShape([1, 101, 4, 2])
    """

    def __init__(
        self,
        *,
        sources: tuple[str, ...] = SOURCES,
        channels: int = 2,
        width: int = 100,
        depth: int = 6,
        kernel_size: int = 8,
        stride: int = 4,
        encoder_glu_kernel_size: int = 3,
        decoder_glu_kernel_size: int = 3,
        upsampler: str = "transposed",
        upsampler_kernel_size: int | None = None,
        modified: bool = False,
        padding: str = "same",
        glu_padding: str = "same",
        lstm_layers: int = 2,
        rescale: float | None = 0.1,
        share_window_samples: int | None = None,
        sample_rate_hz: int = 44_100,
        **kwargs,
    ):
        super().__init__(sources, channels, sample_rate_hz=sample_rate_hz, **kwargs)
        one_of("upsampler", upsampler, UPSAMPLER_KINDS)
        if upsampler_kernel_size is None:
            upsampler_kernel_size = UPSAMPLER_KERNEL_SIZES[upsampler]
        self.width = integer("width", width)
        self.depth = integer("depth", depth)
        self.kernel_size = integer("kernel_size", kernel_size)
        self.stride = integer("stride", stride, least=2)
        if self.kernel_size < self.stride:
            raise ValueError(
                f"kernel_size must be at least the stride, or samples are left out. Received: "
                f"kernel_size={kernel_size}, stride={stride}"
            )
        self.encoder_glu_kernel_size = integer("encoder_glu_kernel_size", encoder_glu_kernel_size)
        self.decoder_glu_kernel_size = integer("decoder_glu_kernel_size", decoder_glu_kernel_size)
        self.upsampler = upsampler
        self.upsampler_kernel_size = integer("upsampler_kernel_size", upsampler_kernel_size)
        self.modified = modified
        self.padding = one_of("padding", padding, PADDINGS)
        self.glu_padding = one_of("glu_padding", glu_padding, PADDINGS)
        self._check_lengths()
        self.lstm_layers = integer("lstm_layers", lstm_layers, least=0)
        self.rescale = rescale
        self.share_window_samples = share_window_samples
        self.shares = None
        if share_window_samples is not None:
            self.shares = MixtureShares(
                integer("share_window_samples", share_window_samples), dtype=self.variable_dtype
            )
        self._add_blocks()

    def _check_lengths(self):
        if not self._transposed_is_valid:
            return
        longest = self.kernel_size
        if self.glu_padding == "valid":
            glu_taps = self.encoder_glu_kernel_size + self.decoder_glu_kernel_size
            longest += self.stride * (glu_taps - 2)
        if self.upsampler_kernel_size > longest:
            raise ValueError(
                f"upsampler_kernel_size must be at most {longest} with padding='valid', or a "
                "decoder block's output is longer than what it is added to. Received: "
                f"upsampler_kernel_size={self.upsampler_kernel_size}"
            )

    def _add_blocks(self):
        widths = [self.width * 2**level for level in range(self.depth)]
        options = {
            "stride": self.stride,
            "padding": self.padding,
            "glu_padding": self.glu_padding,
            "use_bias": not self.modified,
            "rescale": self.rescale,
            "dtype": self.dtype_policy,
        }
        self.encoder = [
            DemucsEncoderBlock(
                filters,
                in_channels,
                kernel_size=self.kernel_size,
                glu_kernel_size=self.encoder_glu_kernel_size,
                relu=not (self.modified and level == 0),
                **options,
            )
            for level, (in_channels, filters) in enumerate(
                zip([self.channels, *widths], widths, strict=False)
            )
        ]
        self.lstm = [
            BidirectionalLSTM(
                widths[-1],
                not self.modified,
                kernel_initializer=bounded_kernel(widths[-1]),
                recurrent_initializer=bounded_kernel(widths[-1]),
                bias_initializer=bounded_bias(widths[-1]),
                dtype=self.dtype_policy,
            )
            for _ in range(self.lstm_layers)
        ]
        self.dense = None
        if self.lstm:
            self.dense = layers.Dense(
                widths[-1],
                **conv_options(2 * widths[-1], not self.modified, None, self.dtype_policy),
            )
        output_channels = len(self.sources) * self.channels
        self.decoder = [
            DemucsDecoderBlock(
                filters,
                in_channels,
                kind=self.upsampler,
                kernel_size=self.upsampler_kernel_size,
                glu_kernel_size=self.decoder_glu_kernel_size,
                relu=level > 0,
                **options,
            )
            for level, (filters, in_channels) in reversed(
                list(enumerate(zip([output_channels, *widths], widths, strict=False)))
            )
        ]

    def build(self, input_shape):
        if self.built:
            return
        shape = (input_shape[0], None, self.channels)
        for block in self.encoder:
            block.build(shape)
            shape = (*shape[:2], block.conv.filters)
        lstm_shape = shape
        for lstm in self.lstm:
            lstm.build(lstm_shape)
            lstm_shape = (*shape[:2], 2 * shape[2])
        if self.dense is not None:
            self.dense.build(lstm_shape)
        for block in self.decoder:
            block.build(shape)
            shape = (*shape[:2], block.upsampler.filters)
        self.built = True

    @property
    def grid_samples(self) -> int:
        """Shifts to which the network, but for its LSTM, is equivariant."""
        grid_samples = self.stride**self.depth
        return math.lcm(grid_samples, self.shares.hop_samples) if self.shares else grid_samples

    @property
    def context_samples(self) -> int:
        """Samples on each side of a sample that reach its output, the LSTM apart."""
        # A kernel off its centre counts as if its shorter side were as long as the other.
        down = self.kernel_size + (self.kernel_size - self.stride) % 2
        up = self.upsampler_kernel_size + (self.upsampler_kernel_size - self.stride) % 2
        if self.upsampler != "transposed":
            up = self.stride * (1 + 2 * max(self.decoder[0].upsampler.context))
        glu = 2 * (self.encoder_glu_kernel_size // 2 + self.decoder_glu_kernel_size // 2)
        span, spacing = 0, 1
        for _ in range(self.depth):
            span += (down - 1 + up - 1) * spacing
            spacing *= self.stride
            span += glu * spacing
        reach = span // 2 + 1 + (self.shares.context_samples if self.shares else 0)
        return -(-reach // self.grid_samples) * self.grid_samples

    @property
    def receptive_field_samples(self) -> int | None:
        return None if self.lstm_layers else super().receptive_field_samples

    def valid_length(self, length):
        for _ in range(self.depth):
            if self._transposed_is_valid:
                length = at_least_1(-(-(length - self.upsampler_kernel_size) // self.stride) + 1)
            else:
                # Rounded up without negative numbers, which ONNX divides otherwise.
                length = (length + self.stride - 1) // self.stride
            if self.glu_padding == "valid":
                length = length + self.decoder_glu_kernel_size - 1
        for _ in range(self.depth):
            if self.glu_padding == "valid":
                length = length + self.encoder_glu_kernel_size - 1
            if self.padding == "valid":
                length = (length - 1) * self.stride + self.kernel_size
            else:
                length = length * self.stride
        return length

    def output_length(self, length: int) -> int:
        for _ in range(self.depth):
            if self.padding == "valid":
                length = (length - self.kernel_size) // self.stride + 1
            else:
                length //= self.stride
            if self.glu_padding == "valid":
                length -= self.encoder_glu_kernel_size - 1
        for _ in range(self.depth):
            if self.glu_padding == "valid":
                length -= self.decoder_glu_kernel_size - 1
            if self._transposed_is_valid:
                length = (length - 1) * self.stride + self.upsampler_kernel_size
            else:
                length *= self.stride
        return length

    @property
    def _transposed_is_valid(self) -> bool:
        return self.upsampler == "transposed" and self.padding == "valid"

    def network(self, x, training=False):
        """Returns the sources of x (batch, a valid length, channels), without padding it.

        (batch, `output_length` of that length, source, channels): the middle of the input's time.
        """
        mixture, skips = x, []
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        for lstm in self.lstm:
            x = lstm(x, training=training)
        if self.dense is not None:
            x = self.dense(x)
        for block in self.decoder:
            x = block(x + centre(skips.pop(), ops.shape(x)[1]))
        batch, time, _ = ops.shape(x)
        # (batch, time, source * channels) -> (batch, time, source, channels)
        x = ops.reshape(x, (batch, time, len(self.sources), self.channels))
        x = ops.cast(x, self.variable_dtype)
        return x if self.shares is None else self.shares(centre(mixture, time), x)

    def call(self, waveform, training=False):
        self.check_waveform(waveform.shape)
        x = ops.cast(waveform, self.variable_dtype)
        batch, time, channels = ops.shape(x)
        missing = self.valid_length(time) - time
        before, after = (
            ops.zeros((batch, samples, channels), x.dtype)
            for samples in (missing // 2, missing - missing // 2)
        )
        x = ops.concatenate([before, x, after], axis=1)
        return centre(self.network(x, training=training), time)

    def get_config(self):
        names = (
            *("width", "depth", "kernel_size", "stride"),
            *("encoder_glu_kernel_size", "decoder_glu_kernel_size"),
            *("upsampler", "upsampler_kernel_size", "modified", "padding", "glu_padding"),
            *("lstm_layers", "rescale", "share_window_samples"),
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def at_least_1(length):
    """Returns max(length, 1) of an integer or of a graph's scalar."""
    return max(length, 1) if isinstance(length, int) else ops.maximum(length, 1)


TABLE1: dict[str, dict[str, Any]] = {
    "table1_transposed": {},
    "table1_modified_transposed": {"modified": True},
    "table1_nearest": {"upsampler": "nearest"},
    "table1_linear": {"upsampler": "linear"},
    "table1_subpixel": {"upsampler": "subpixel"},
    "table1_modified_subpixel": {"upsampler": "subpixel", "modified": True},
}

PRESETS: dict[str, dict[str, Any]] = {
    "original": {"encoder_glu_kernel_size": 1, "padding": "valid", "glu_padding": "valid"},
    **TABLE1,
    "small": {"width": 16, "depth": 5},
    "tiny": {"width": 4, "depth": 3},
}

ENTRY = ModelEntry(
    name="demucs",
    model=Demucs,
    presets=PRESETS,
    parameters={
        "original": 648_497_008,
        "table1_transposed": 703_097_008,
        "table1_modified_transposed": 703_008_000,
        "table1_nearest": 709_917_808,
        "table1_linear": 709_917_808,
        "table1_subpixel": 730_389_532,
        "table1_modified_subpixel": 730_291_200,
        "small": 4_504_744,
        "tiny": 18_096,
    },
    paper_presets=("original", *TABLE1),
    sample_rate_hz=44_100,
    source="Défossez et al. 2019, Music Source Separation in the Waveform Domain; Pons et al. "
    "2021, Upsampling Artifacts in Neural Audio Synthesis",
)
