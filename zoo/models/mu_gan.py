"""MU-GAN's generator: a multiscale U-net that corrects the spline of a low-rate waveform.

Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3. The
paper's table of widths is lost; the widths here are ASSUMED from its appendix, its model sizes and
its time ratios, as are the dropout rate, the PReLU slope per channel and the N(0, 1e-3) start of
the last convolution.
"""

import keras
from keras import layers, ops

from tonezoo.layers import FoldedConv1D, MultiscaleConv1D, Subpixel1D, Superpixel1D
from tonezoo.models.base import SuperResolutionModel, divide_widths
from tonezoo.registry import ModelEntry

PAPER = "Adversarial Audio Super-Resolution with Unsupervised Feature Losses"
KERNEL_SIZES = (3, 9, 27, 81)
FINAL_KERNEL_SIZE = 27
DOWNSAMPLING = ("superpixel", "strided")


@keras.saving.register_keras_serializable(package="tonezoo")
class DownBlock(layers.Layer):
    """Multiscale convolution, PReLU, superpixel: time halved, 2 * filters channels.

    Args:
        filters: filters of the multiscale convolution, a multiple of 8.
        downsampling: "superpixel", or "strided" for the variant of the paper's Table 5: one
            multiscale convolution of stride 2 with twice the filters in place of both.
        use_bias: whether the convolution has biases.
    """

    def __init__(
        self, filters: int, downsampling: str = "superpixel", use_bias: bool = True, **kwargs
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.downsampling = downsampling
        self.use_bias = use_bias
        strided = downsampling == "strided"
        dtype = self.dtype_policy
        widths = (2 * filters, 2) if strided else (filters, 1)
        self.conv = multiscale(*widths, use_bias=use_bias, dtype=dtype)
        self.activation = prelu(dtype)
        self.superpixel = None if strided else Superpixel1D(2, dtype=dtype)

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.activation.build((*input_shape[:2], self.conv.filters))
        self.built = True

    def call(self, x):
        x = self.activation(self.conv(x))
        return x if self.superpixel is None else self.superpixel(x)

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return (batch, None if time is None else -(-time // 2), 2 * self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "downsampling": self.downsampling,
            "use_bias": self.use_bias,
        }


@keras.saving.register_keras_serializable(package="tonezoo")
class UpBlock(layers.Layer):
    """Multiscale convolution, dropout, PReLU, subpixel: time doubled, filters / 2 channels.

    Args:
        filters: filters of the multiscale convolution, a multiple of 8.
        dropout: dropout rate, 0 to 1.
        use_bias: whether the convolution has biases.
    """

    def __init__(self, filters: int, dropout: float = 0.2, use_bias: bool = True, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        self.dropout_rate = dropout
        self.use_bias = use_bias
        dtype = self.dtype_policy
        self.conv = multiscale(filters, use_bias=use_bias, dtype=dtype)
        self.dropout = layers.Dropout(dropout, dtype=dtype)
        self.activation = prelu(dtype)
        self.subpixel = Subpixel1D(2, dtype=dtype)

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.activation.build((*input_shape[:2], self.filters))
        self.built = True

    def call(self, x, training=False):
        x = self.dropout(self.conv(x), training=training)
        return self.subpixel(self.activation(x))

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return (batch, None if time is None else 2 * time, self.filters // 2)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "dropout": self.dropout_rate,
            "use_bias": self.use_bias,
        }


def multiscale(filters: int, strides: int = 1, **options) -> MultiscaleConv1D:
    return MultiscaleConv1D(
        filters,
        KERNEL_SIZES,
        strides=strides,
        kernel_initializer=keras.initializers.Orthogonal(),
        **options,
    )


def prelu(dtype) -> layers.PReLU:
    initializer = keras.initializers.Constant(0.25)
    return layers.PReLU(alpha_initializer=initializer, shared_axes=[1], dtype=dtype)


def final_conv(**options) -> FoldedConv1D:
    return FoldedConv1D(
        1,
        FINAL_KERNEL_SIZE,
        kernel_initializer=keras.initializers.RandomNormal(stddev=1e-3),
        **options,
    )


@keras.saving.register_keras_serializable(package="tonezoo")
class MuGanGenerator(SuperResolutionModel):
    """MU-GAN's generator: a multiscale U-net that corrects the spline of a low-rate waveform.

    L D-blocks, L U-blocks, each but the last stacked with the D-block of its resolution, a
    convolution of length 27 to one channel, and the spline added. With the default initialisation
    the output differs from the spline by about a thousandth of its level.

    Args:
        down_filters: filters of the D-blocks, L multiples of 8.
        up_filters: filters of the U-blocks, L multiples of 8.
        ratio: upsampling ratio R, 2 or more.
        dropout: dropout rate of the U-blocks.
        downsampling: "superpixel" or "strided" (see `DownBlock`).
        use_bias: False for convolutions without biases (ours): the output is then proportional to
            the input, whatever its level, and silence stays silence.
        sample_rate_hz, interpolation, keep_below: see `SuperResolutionModel`.

    Inputs: `waveform` (batch, time, 1), low rate, any time of at least 1; optional `lengths`
    (batch,). Output: (batch, ratio * time, 1).

    Raises:
        ValueError: as many U-blocks as D-blocks are not given, or an unknown downsampling.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.

    Example:

    >>> import numpy as np
    >>> generator = MuGanGenerator(down_filters=(8, 8), up_filters=(16, 8), ratio=4)
    >>> generator(np.zeros((1, 101, 1), "float32")).shape
    TensorShape([1, 404, 1])
    """

    def __init__(
        self,
        *,
        down_filters: tuple[int, ...],
        up_filters: tuple[int, ...],
        ratio: int = 4,
        dropout: float = 0.2,
        downsampling: str = "superpixel",
        use_bias: bool = True,
        sample_rate_hz: int = 16_000,
        interpolation: str = "cubic",
        keep_below: float = 0.0,
        **kwargs,
    ):
        super().__init__(
            len(down_filters),
            ratio=ratio,
            sample_rate_hz=sample_rate_hz,
            interpolation=interpolation,
            keep_below=keep_below,
            **kwargs,
        )
        check_widths(down_filters, up_filters)
        if downsampling not in DOWNSAMPLING:
            raise ValueError(
                f"downsampling must be one of {DOWNSAMPLING}, but is {downsampling!r}."
            )
        self.down_filters = tuple(down_filters)
        self.up_filters = tuple(up_filters)
        self.dropout = dropout
        self.downsampling = downsampling
        self.use_bias = use_bias
        options = {"use_bias": use_bias, "dtype": self.dtype_policy}
        self.down_blocks = [DownBlock(n, downsampling, **options) for n in down_filters]
        self.up_blocks = [UpBlock(n, dropout, **options) for n in up_filters]
        self.final_conv = final_conv(**options)

    @property
    def span_samples(self) -> int:
        reach = max(KERNEL_SIZES) - 1
        down = sum(reach * 2**level for level in range(self.levels))
        up = sum(reach * 2**level for level in range(1, self.levels + 1))
        return down + up + FINAL_KERNEL_SIZE - 1

    def build_residual(self, shape):
        stacked = []
        for block in self.down_blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
            stacked.append(shape[2])
        stacked.pop()
        for block in self.up_blocks:
            block.build(shape)
            shape = block.compute_output_shape(shape)
            if stacked:
                shape = (*shape[:2], shape[2] + stacked.pop())
        self.final_conv.build(shape)

    def residual(self, x, mask, training):
        spacing, stacked = 1, []
        for block in self.down_blocks:
            x = block(mask.zero_padding(x, spacing=spacing))
            spacing *= 2
            stacked.append(x)
        stacked.pop()
        for block in self.up_blocks:
            x = block(mask.zero_padding(x, spacing=spacing), training=training)
            spacing //= 2
            if stacked:
                x = ops.concatenate([x, stacked.pop()], axis=-1)
        return self.final_conv(mask.zero_padding(x))

    def get_config(self):
        return {
            **super().get_config(),
            "down_filters": self.down_filters,
            "up_filters": self.up_filters,
            "dropout": self.dropout,
            "downsampling": self.downsampling,
            "use_bias": self.use_bias,
        }


def check_widths(down_filters, up_filters):
    if not down_filters or len(down_filters) != len(up_filters):
        raise ValueError(
            "down_filters and up_filters must have the same number of blocks, at least one, but "
            f"are {tuple(down_filters)} and {tuple(up_filters)}."
        )


L8 = {"down_filters": (64, 128) + 6 * (256,), "up_filters": 6 * (512,) + (256, 128)}
L4 = {"down_filters": (64, 128, 256, 256), "up_filters": (512, 512, 256, 128)}
TINY = {"down_filters": (8, 16), "up_filters": (16, 16)}
# Ours, for recordings whose low-pass and level are not known: a sharper interpolation, the band
# that the input has is left alone, silence stays silent.
BAND_KEPT = {"interpolation": "sinc", "keep_below": 0.8, "use_bias": False}

PRESETS = {
    "l8": L8,
    "l8_half": divide_widths(2, **L8),
    "l8_quarter": divide_widths(4, **L8),
    "l8_strided": {**L8, "downsampling": "strided"},
    "l4": L4,
    "l4_half": divide_widths(2, **L4),
    "l4_quarter": divide_widths(4, **L4),
    "l4_strided": {**L4, "downsampling": "strided"},
    "l4_quarter_band_kept": {**divide_widths(4, **L4), **BAND_KEPT},
    "tiny": TINY,
}

ENTRY = ModelEntry(
    name="mu_gan",
    model=MuGanGenerator,
    presets=PRESETS,
    parameters={
        "l8": 56_341_441,
        "l8_half": 14_088_673,
        "l8_quarter": 3_523_825,
        "l8_strided": 69_617_089,
        "l4": 18_586_561,
        "l4_half": 4_648_417,
        "l4_quarter": 1_162_993,
        "l4_strided": 22_422_977,
        "l4_quarter_band_kept": 1_162_464,
        "tiny": 21_209,
    },
    paper_presets=("l8", "l4", "l8_strided", "l4_strided"),
    sample_rate_hz=16_000,
    ratios=(2, 4, 6),
    source=PAPER,
)
