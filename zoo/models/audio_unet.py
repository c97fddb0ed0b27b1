"""Audio U-net of Kuleshov et al., the baseline of the MU-GAN paper.

Source: V. Kuleshov, S. Z. Enam, S. Ermon, "Audio Super-Resolution using Neural Nets" (ICLR 2017
workshop), and the widths of its published code.
"""

import keras
from keras import layers, ops

from tonezoo.layers import Subpixel1D
from tonezoo.models.base import SuperResolutionModel, divide_widths
from tonezoo.registry import ModelEntry

BOTTLENECK_KERNEL_SIZE = 9
FINAL_KERNEL_SIZE = 9


@keras.saving.register_keras_serializable(package="tonezoo")
class AudioUnet(SuperResolutionModel):
    """U-net of strided convolutions and subpixel upsampling that corrects the spline of a waveform.

    L strided convolutions with LeakyReLU(0.2); a strided bottleneck with dropout and LeakyReLU; L
    times convolution, dropout, ReLU, subpixel and the downsampling features of that resolution;
    a convolution to two channels, their shuffle to one, and the spline added. No batch norm.

    Args:
        filters: filters of the L downsampling convolutions; the bottleneck has the last one's, the
            upsampling convolutions twice as many each.
        kernel_sizes: lengths of the L convolutions, the same on the way up.
        ratio: upsampling ratio R, 2 or more.
        dropout: dropout rate of the bottleneck and the upsampling convolutions.
        sample_rate_hz, interpolation, keep_below: see `SuperResolutionModel`.

    Inputs: `waveform` (batch, time, 1), low rate, any time of at least 1; optional `lengths`
    (batch,). Output: (batch, ratio * time, 1).

    Raises:
        ValueError: as many kernel sizes as filters are not given.

    Example:

    >>> import numpy as np
    >>> unet = AudioUnet(filters=(4, 8), kernel_sizes=(9, 5), ratio=2)
    >>> unet(np.zeros((1, 33, 1), "float32")).shape
    TensorShape([1, 66, 1])
    """

    def __init__(
        self,
        *,
        filters: tuple[int, ...],
        kernel_sizes: tuple[int, ...],
        ratio: int = 4,
        dropout: float = 0.5,
        sample_rate_hz: int = 16_000,
        **kwargs,
    ):
        super().__init__(len(filters) + 1, ratio=ratio, sample_rate_hz=sample_rate_hz, **kwargs)
        if not filters or len(filters) != len(kernel_sizes):
            raise ValueError(
                "filters and kernel_sizes must have the same length, at least one, but are "
                f"{tuple(filters)} and {tuple(kernel_sizes)}."
            )
        self.filters = tuple(filters)
        self.kernel_sizes = tuple(kernel_sizes)
        self.dropout_rate = dropout
        dtype = self.dtype_policy
        self.down_convs = [
            conv(count, size, dtype, strides=2)
            for count, size in zip(filters, kernel_sizes, strict=True)
        ]
        self.bottleneck = conv(filters[-1], BOTTLENECK_KERNEL_SIZE, dtype, strides=2)
        self.up_convs = [
            conv(2 * count, size, dtype)
            for count, size in zip(reversed(filters), reversed(kernel_sizes), strict=True)
        ]
        self.final_conv = layers.Conv1D(
            2,
            FINAL_KERNEL_SIZE,
            padding="same",
            data_format="channels_last",
            kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
            dtype=dtype,
        )
        # One dropout each: they draw independent masks.
        self.dropouts = [layers.Dropout(dropout, dtype=dtype) for _ in range(len(filters) + 1)]
        self.subpixel = Subpixel1D(2, dtype=dtype)

    @property
    def span_samples(self) -> int:
        spans = [(size - 1) * 2**level for level, size in enumerate(self.kernel_sizes)]
        up_spans = [4 * span for span in spans]
        bottleneck = (BOTTLENECK_KERNEL_SIZE - 1) * 2 ** (self.levels - 1)
        return sum(spans) + bottleneck + sum(up_spans) + 2 * (FINAL_KERNEL_SIZE - 1)

    def build_residual(self, shape):
        stacked = []
        for layer in self.down_convs:
            layer.build(shape)
            shape = (*shape[:2], layer.filters)
            stacked.append(layer.filters)
        self.bottleneck.build(shape)
        shape = (*shape[:2], self.bottleneck.filters)
        for layer in self.up_convs:
            layer.build(shape)
            shape = (*shape[:2], layer.filters // 2 + stacked.pop())
        self.final_conv.build(shape)

    def residual(self, x, mask, training):
        spacing, stacked = 1, []
        dropouts = iter(self.dropouts)
        for layer in self.down_convs:
            x = ops.leaky_relu(layer(mask.zero_padding(x, spacing=spacing)), 0.2)
            spacing *= 2
            stacked.append(x)
        x = self.bottleneck(mask.zero_padding(x, spacing=spacing))
        spacing *= 2
        x = ops.leaky_relu(next(dropouts)(x, training=training), 0.2)
        for layer in self.up_convs:
            x = next(dropouts)(layer(mask.zero_padding(x, spacing=spacing)), training=training)
            x = self.subpixel(ops.relu(x))
            spacing //= 2
            x = ops.concatenate([x, stacked.pop()], axis=-1)
        return self.subpixel(self.final_conv(mask.zero_padding(x, spacing=spacing)))

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_sizes": self.kernel_sizes,
            "dropout": self.dropout_rate,
        }


def conv(filters: int, kernel_size: int, dtype, strides: int = 1) -> layers.Conv1D:
    return layers.Conv1D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        data_format="channels_last",
        kernel_initializer=keras.initializers.Orthogonal(),
        dtype=dtype,
    )


L8 = {"filters": (128, 256) + 6 * (512,), "kernel_sizes": (65, 33, 17) + 5 * (9,)}
L4 = {"filters": (128, 256, 512, 512), "kernel_sizes": (65, 33, 17, 9)}


def narrowed(divisor: int, preset: dict) -> dict:
    return {**preset, **divide_widths(divisor, filters=preset["filters"])}


PRESETS = {
    "l8": L8,
    "l8_half": narrowed(2, L8),
    "l8_quarter": narrowed(4, L8),
    "l4": L4,
    "l4_half": narrowed(2, L4),
    "l4_quarter": narrowed(4, L4),
    # As many parameters as MU-GAN's l4_quarter.
    "l4_seventh": narrowed(7, L4),
    "tiny": {"filters": (4, 8, 8), "kernel_sizes": (17, 9, 9)},
}

ENTRY = ModelEntry(
    name="audio_unet",
    model=AudioUnet,
    presets=PRESETS,
    parameters={
        "l8": 103_603_458,
        "l8_half": 25_906_818,
        "l8_quarter": 6_479_682,
        "l4": 56_411_394,
        "l4_half": 14_107_266,
        "l4_quarter": 3_529_026,
        "l4_seventh": 1_138_145,
        "tiny": 7_354,
    },
    paper_presets=("l8", "l4"),
    sample_rate_hz=16_000,
    ratios=(2, 4, 6),
    source="Kuleshov et al. 2017, Audio Super-Resolution using Neural Nets",
)
