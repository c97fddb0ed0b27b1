"""A reconstruction of Sams-Net: source separation by sliced attention on the spectrogram.

Source: T. Li, J. Chen, H. Hou, M. Li, "Sams-Net: A Sliced Attention-based Neural Network for Music
Source Separation" (2019, arXiv:1909.05746). No code of it is public, and the paper leaves the
layers open: all of what is here but for the attention in slices is ASSUMED, so as to have the
paper's 3.7 million parameters. The paper's scores say nothing of it.
"""

from typing import Any

import keras
from keras import layers, ops

from tonezoo.arguments import integer
from tonezoo.audio import SOURCES
from tonezoo.models.spectrogram_separator import BinScaling, SpectrogramSeparator
from tonezoo.registry import ModelEntry

FIRST_DEVIATION = 1e-2
FREQUENCY_STRIDE = 4
# Frames on each side that the stem and the head, and each block, see.
STEM_AND_HEAD_REACH, BLOCK_REACH = 3, 3


class SamsNetBlock(layers.Layer):
    """x + attention(norm(x)), then x + convolutions(norm(x)), of (batch, frames, bin, channel).

    Queries, keys and values are a convolution's; each slice, some of their channels, attends over
    the frames, a frame's token being all of its bins.
    """

    def __init__(self, width: int, slices: int, **kwargs):
        super().__init__(**kwargs)
        self.slices = slices
        dtype = self.dtype_policy
        self.norms = [layers.GroupNormalization(1, dtype=dtype) for _ in range(2)]
        self.projection = conv(3 * width, 3, dtype)
        self.output_conv = conv(width, 1, dtype)
        self.widening = conv(2 * width, 3, dtype)
        self.narrowing = conv(width, 3, dtype)

    def build(self, input_shape):
        width = input_shape[-1]
        for layer in (*self.norms, self.projection, self.output_conv, self.widening):
            layer.build(input_shape)
        self.narrowing.build((*input_shape[:-1], 2 * width))
        self.built = True

    def call(self, x):
        x = x + self.output_conv(self.attention(self.projection(self.norms[0](x))))
        y = ops.relu(self.widening(self.norms[1](x)))
        return x + self.narrowing(y)

    def attention(self, x):
        """Returns (batch, frames, bin, channel) of queries, keys and values side by side."""
        batch, frames, bins, channels = ops.shape(x)
        width = channels // 3
        each = width // self.slices
        # (..., frames, bin, part * slice * channel) -> (part, ..., slice, frames, bin * channel)
        x = ops.reshape(x, (batch, frames, bins, 3, self.slices, each))
        x = ops.transpose(x, (3, 0, 4, 1, 2, 5))
        queries, keys, values = ops.unstack(
            ops.reshape(x, (3, batch, self.slices, frames, bins * each)), 3
        )
        scores = ops.matmul(queries, ops.transpose(keys, (0, 1, 3, 2))) / (bins * each) ** 0.5
        weights = ops.softmax(ops.cast(scores, "float32"), axis=-1)
        y = ops.matmul(ops.cast(weights, values.dtype), values)
        # (batch, slice, frames, bin * channel) -> (batch, frames, bin, slice * channel)
        y = ops.reshape(y, (batch, self.slices, frames, bins, each))
        return ops.reshape(ops.transpose(y, (0, 2, 3, 1, 4)), (batch, frames, bins, width))


class SamsNetMask(layers.Layer):
    """The network of one source: magnitudes (batch, frames, channel, bin) to a mask, 0 or more.

    Bins below `input_bins`, shifted and scaled each; a convolution that takes every fourth of them;
    `blocks` blocks; a convolution and the subpixel shuffle back to all of these bins, another one
    to the channels; each bin scaled and shifted, those above after zeros, ReLU.
    """

    def __init__(self, width: int, blocks: int, slices: int, input_bins: int, **kwargs):
        super().__init__(**kwargs)
        self.width, self.input_bins = width, input_bins
        dtype = self.dtype_policy
        self.scale_input = BinScaling(False, dtype=dtype)
        self.stem = conv(width, (3, 7), dtype, strides=(1, FREQUENCY_STRIDE))
        self.blocks = [SamsNetBlock(width, slices, dtype=dtype) for _ in range(blocks)]
        self.expansion = conv(width // 3 * FREQUENCY_STRIDE, 3, dtype)
        self.scale_output = BinScaling(True, mean=1.0, dtype=dtype)

    def build(self, input_shape):
        channels = input_shape[2]
        # So small that every mask begins near 1, its mean.
        small = keras.initializers.RandomNormal(stddev=FIRST_DEVIATION)
        self.output_conv = conv(channels, 3, self.dtype_policy, kernel_initializer=small)
        self.scale_input.build((None, None, channels, self.input_bins))
        kept = -(-self.input_bins // FREQUENCY_STRIDE)
        self.stem.build((None, None, FREQUENCY_STRIDE * kept, channels))
        for block in self.blocks:
            block.build((None, None, kept, self.width))
        self.expansion.build((None, None, kept, self.width))
        self.output_conv.build((None, None, FREQUENCY_STRIDE * kept, self.width // 3))
        self.scale_output.build(input_shape)
        self.built = True

    def call(self, magnitudes, training=False):
        batch, frames, _, bins = ops.shape(magnitudes)
        x = self.scale_input(magnitudes[..., : self.input_bins])
        # (batch, frames, channel, bin) -> (batch, frames, bin, channel)
        x = ops.transpose(x, (0, 1, 3, 2))
        padded = -(-self.input_bins // FREQUENCY_STRIDE) * FREQUENCY_STRIDE
        x = ops.pad(x, ((0, 0), (0, 0), (0, padded - self.input_bins), (0, 0)))
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        # (batch, frames, bin, phase * filter) -> (batch, frames, bin * phase, filter)
        x = ops.reshape(self.expansion(x), (batch, frames, padded, self.width // 3))
        x = ops.transpose(self.output_conv(ops.relu(x)), (0, 1, 3, 2))[..., :bins]
        x = ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, max(0, bins - padded))))
        return ops.relu(self.scale_output(x))


def conv(filters: int, kernel_size, dtype, strides=1, **options) -> layers.Conv2D:
    return layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        data_format="channels_last",
        dtype=dtype,
        **options,
    )


@keras.saving.register_keras_serializable(package="tonezoo")
class SamsNet(SpectrogramSeparator):
    """Separates a mixture by masks of its spectrogram, from convolutions and sliced attention.

    A reconstruction: see the top of this file. The attention reaches all frames of what the model
    sees at once.

    Args:
        width: channels, a multiple of 3 times the slices.
        blocks: number of blocks.
        slices: parts of the channels that attend each by itself.
        input_bins: the lowest bins, which the networks see; 1487 end at 16 kHz.
        sources, channels, window_samples, hop_samples, wiener_iterations, mixture_level,
            sample_rate_hz: see `SpectrogramSeparator`.

    Input: (batch, time, channels), any time of at least 1. Output: (batch, time, source, channels).

    Raises:
        ValueError: a width that the slices do not divide, more input bins than there are, or what
            `SpectrogramSeparator` raises.

    Example:

    >>> import numpy as np
    >>> model = SamsNet(
    ...     width=6, blocks=1, slices=2, window_samples=64, hop_samples=16, input_bins=20)
    >>> model(np.zeros((1, 101, 2), "float32")).shape
    TensorShape([1, 101, 4, 2])
    """

    def __init__(
        self,
        *,
        width: int = 96,
        blocks: int = 6,
        slices: int = 8,
        input_bins: int = 1487,
        sources: tuple[str, ...] = SOURCES,
        channels: int = 2,
        sample_rate_hz: int = 44_100,
        wiener_iterations: int = 0,
        **kwargs,
    ):
        super().__init__(
            sources=sources,
            channels=channels,
            sample_rate_hz=sample_rate_hz,
            wiener_iterations=wiener_iterations,
            **kwargs,
        )
        self.width = integer("width", width)
        self.blocks = integer("blocks", blocks)
        self.slices = integer("slices", slices)
        self.input_bins = integer("input_bins", input_bins)
        if width % slices or width % 3 or input_bins > self.bins:
            raise ValueError(
                f"width must be a multiple of 3 and of the slices, and input_bins at most "
                f"{self.bins}, those of a window of {self.window_samples}. Received: "
                f"width={width}, slices={slices}, input_bins={input_bins}"
            )
        self.mask_networks = [self.mask_network() for _ in self.sources]

    def mask_network(self):
        return SamsNetMask(
            self.width, self.blocks, self.slices, self.input_bins, dtype=self.dtype_policy
        )

    @property
    def context_frames(self) -> int:
        return STEM_AND_HEAD_REACH + self.blocks * BLOCK_REACH

    def get_config(self):
        names = ("width", "blocks", "slices", "input_bins")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


SMALL_TRANSFORM = {"window_samples": 512, "hop_samples": 128, "input_bins": 186}

PRESETS: dict[str, dict[str, Any]] = {
    "reconstruction": {},
    "vocals": {"sources": ("vocals",)},
    "small": {"width": 6, "blocks": 2, "slices": 2},
    "tiny": {"width": 6, "blocks": 1, "slices": 2, **SMALL_TRANSFORM},
}

ENTRY = ModelEntry(
    name="sams_net",
    model=SamsNet,
    presets=PRESETS,
    parameters={
        "reconstruction": 14_671_112,
        "vocals": 3_667_778,
        "small": 50_192,
        "tiny": 15_968,
    },
    sample_rate_hz=44_100,
    source="ours, a reconstruction of Li et al. 2019, Sams-Net: A Sliced Attention-based Neural "
    "Network for Music Source Separation",
)
