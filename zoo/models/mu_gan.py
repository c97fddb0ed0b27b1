"""MU-GAN: multiscale U-net generator, discriminator and feature autoencoder.

Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses". The paper's table of
widths is lost; the widths here are ASSUMED from its appendix, its model sizes and its time ratios,
as are the dropout rate and the widths of the discriminator.
"""

import keras
from keras import layers, ops

from tonezoo.layers import Superpixel1D
from tonezoo.models.base import (
    SuperResolutionModel,
    check_waveform,
    pad_to_multiple,
    scaled,
)
from tonezoo.models.mu_gan_blocks import (
    DOWNSAMPLING,
    FINAL_KERNEL_SIZE,
    KERNEL_SIZES,
    DownBlock,
    UpBlock,
    final_conv,
    multiscale,
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
            ratio=ratio,
            levels=len(down_filters),
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

    def residual(self, x, valid, training):
        spacing, stacked = 1, []
        for block in self.down_blocks:
            x = block(valid.apply(x, spacing=spacing))
            spacing *= 2
            stacked.append(x)
        stacked.pop()
        for block in self.up_blocks:
            x = block(valid.apply(x, spacing=spacing), training=training)
            spacing //= 2
            if stacked:
                x = ops.concatenate([x, stacked.pop()], axis=-1)
        return self.final_conv(valid.apply(x))

    def get_config(self):
        return {
            **super().get_config(),
            "down_filters": self.down_filters,
            "up_filters": self.up_filters,
            "dropout": self.dropout,
            "downsampling": self.downsampling,
            "use_bias": self.use_bias,
        }


@keras.saving.register_keras_serializable(package="tonezoo")
class MuGanAutoencoder(keras.Model):
    """The generator without stacking and additive skip; its code is the feature phi.

    Trained alone to reproduce high-rate patches (mean squared error), then frozen: the feature loss
    compares phi(target) with phi(estimate).

    Args:
        down_filters: filters of the D-blocks, multiples of 8.
        up_filters: filters of the U-blocks, as many.
        dropout: dropout rate of the U-blocks.

    Input: (batch, time, 1), high rate, any time of at least 1. Output: the same shape.
    `features(x)` gives phi, (batch, ceil(time / 2 ** L), 2 * last filters).

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.

    Example:

    >>> import numpy as np
    >>> autoencoder = MuGanAutoencoder(down_filters=(8, 8), up_filters=(16, 8))
    >>> autoencoder.features(np.zeros((1, 64, 1), "float32")).shape
    TensorShape([1, 16, 16])
    """

    def __init__(
        self,
        *,
        down_filters: tuple[int, ...],
        up_filters: tuple[int, ...],
        dropout: float = 0.2,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_widths(down_filters, up_filters)
        self.down_filters = tuple(down_filters)
        self.up_filters = tuple(up_filters)
        self.dropout = dropout
        dtype = self.dtype_policy
        self.down_blocks = [DownBlock(n, dtype=dtype) for n in down_filters]
        self.up_blocks = [UpBlock(n, dropout, dtype=dtype) for n in up_filters]
        self.final_conv = final_conv(dtype=dtype)

    def build(self, input_shape):
        shape = (input_shape[0], None, 1)
        for block in (*self.down_blocks, *self.up_blocks):
            block.build(shape)
            shape = block.compute_output_shape(shape)
        self.final_conv.build(shape)
        self.built = True

    def features(self, waveform):
        x = pad_to_multiple(ops.cast(waveform, self.compute_dtype), 2 ** len(self.down_blocks))
        for block in self.down_blocks:
            x = block(x)
        return x

    def call(self, waveform, training=False):
        check_waveform(self, waveform.shape)
        x = self.features(waveform)
        for block in self.up_blocks:
            x = block(x, training=training)
        return ops.cast(self.final_conv(x)[:, : ops.shape(waveform)[1]], self.variable_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "down_filters": self.down_filters,
            "up_filters": self.up_filters,
            "dropout": self.dropout,
        }


@keras.saving.register_keras_serializable(package="tonezoo")
class MuGanDiscriminator(keras.Model):
    """Tells real high-rate patches of one fixed length from super-resolved ones; gives the logit.

    A multiscale stem with LeakyReLU and no batch norm, seven blocks of multiscale convolution,
    batch norm, dropout, LeakyReLU and superpixel, then two fully connected layers. The paper ends
    in a sigmoid: apply `keras.ops.sigmoid` for the probability; training takes the logit, whose
    cross-entropy is numerically safe.

    Args:
        segment_samples: patch length, a multiple of 2 ** number of blocks.
        stem_filters: filters of the stem, a multiple of 8.
        block_filters: filters of the blocks, multiples of 8.
        dense_units: units of the fully connected layer.
        dropout: dropout rate.
        synchronized: True to take batch-norm statistics over all replicas of a distribution
            strategy, without which training on several devices differs from one. On the JAX
            backend they are global anyway.

    Input: (batch, segment_samples, 1). Output: (batch, 1).

    Raises:
        ValueError: a patch of another length, or one that the blocks cannot halve.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3.

    Example:

    >>> import numpy as np
    >>> discriminator = MuGanDiscriminator(
    ...     segment_samples=64, stem_filters=8, block_filters=(8, 8), dense_units=4
    ... )
    >>> discriminator(np.zeros((2, 64, 1), "float32")).shape
    TensorShape([2, 1])
    """

    def __init__(
        self,
        *,
        segment_samples: int = 8192,
        stem_filters: int = 64,
        block_filters: tuple[int, ...] = (64, 64, 128, 128, 256, 256, 256),
        dense_units: int = 128,
        dropout: float = 0.2,
        synchronized: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        multiple = 2 ** len(block_filters)
        if segment_samples < multiple or segment_samples % multiple:
            raise ValueError(
                f"segment_samples must be a multiple of {multiple} (2 to the number of blocks), "
                f"but is {segment_samples}."
            )
        self.segment_samples = segment_samples
        self.stem_filters = stem_filters
        self.block_filters = tuple(block_filters)
        self.dense_units = dense_units
        self.dropout = dropout
        self.synchronized = synchronized
        dtype = self.dtype_policy
        self.stem = keras.Sequential(
            [multiscale(stem_filters, dtype=dtype), layers.LeakyReLU(0.2, dtype=dtype)]
        )
        self.blocks = [self._block(filters, dtype) for filters in block_filters]
        self.head = keras.Sequential(
            [
                layers.Flatten(dtype=dtype),
                layers.Dense(dense_units, dtype=dtype),
                layers.Dropout(dropout, dtype=dtype),
                layers.LeakyReLU(0.2, dtype=dtype),
                layers.Dense(1, dtype=self.variable_dtype),
            ]
        )

    def _block(self, filters: int, dtype) -> keras.Sequential:
        synchronized = self.synchronized and keras.backend.backend() == "tensorflow"
        return keras.Sequential(
            [
                multiscale(filters, dtype=dtype),
                layers.BatchNormalization(synchronized=synchronized, dtype=dtype),
                layers.Dropout(self.dropout, dtype=dtype),
                layers.LeakyReLU(0.2, dtype=dtype),
                Superpixel1D(2, dtype=dtype),
            ]
        )

    def build(self, input_shape):
        shape = (input_shape[0], self.segment_samples, 1)
        for part in (self.stem, *self.blocks, self.head):
            part.build(shape)
            shape = part.compute_output_shape(shape)
        self.built = True

    def call(self, waveform, training=False):
        if tuple(waveform.shape[1:]) != (self.segment_samples, 1):
            raise ValueError(
                f"This discriminator takes patches (batch, {self.segment_samples}, 1), but got "
                f"{tuple(waveform.shape)}. Crop the patch, or build one with another "
                "segment_samples."
            )
        x = waveform
        for part in (self.stem, *self.blocks, self.head):
            x = part(x, training=training)
        return x

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1)

    def get_config(self):
        return {
            **super().get_config(),
            "segment_samples": self.segment_samples,
            "stem_filters": self.stem_filters,
            "block_filters": self.block_filters,
            "dense_units": self.dense_units,
            "dropout": self.dropout,
            "synchronized": self.synchronized,
        }


def check_widths(down_filters, up_filters):
    if not down_filters or len(down_filters) != len(up_filters):
        raise ValueError(
            "down_filters and up_filters must have the same number of blocks, at least one, but "
            f"are {tuple(down_filters)} and {tuple(up_filters)}."
        )


L8 = {"down_filters": (64, 128) + 6 * (256,), "up_filters": 6 * (512,) + (256, 128)}
L4 = {"down_filters": (64, 128, 256, 256), "up_filters": (512, 512, 256, 128)}
# Ours, for recordings whose low-pass and level are not known: a sharper interpolation, the band
# that the input has is left alone, silence stays silent.
BAND_KEPT = {"interpolation": "sinc", "keep_below": 0.8, "use_bias": False}
TINY = {"down_filters": (8, 8, 16), "up_filters": (32, 16, 16)}
DISCRIMINATOR = {
    "stem_filters": 64,
    "block_filters": (64, 64, 128, 128, 256, 256, 256),
    "dense_units": 128,
}

PRESETS = {
    "mu_gan": {
        "l8": L8,
        "l8_half": scaled(2, **L8),
        "l8_quarter": scaled(4, **L8),
        "l8_strided": {**L8, "downsampling": "strided"},
        "l4": L4,
        "l4_half": scaled(2, **L4),
        "l4_quarter": scaled(4, **L4),
        "l4_strided": {**L4, "downsampling": "strided"},
        "l4_quarter_band_kept": {**scaled(4, **L4), **BAND_KEPT},
        "tiny": TINY,
    },
    "mu_gan_autoencoder": {
        "full": L4,
        "half": scaled(2, **L4),
        "quarter": scaled(4, **L4),
        "tiny": TINY,
    },
    "mu_gan_discriminator": {
        "full": DISCRIMINATOR,
        "half": scaled(2, **DISCRIMINATOR),
        "quarter": scaled(4, **DISCRIMINATOR),
        "tiny": {"stem_filters": 8, "block_filters": (8, 8, 16, 16), "dense_units": 16},
    },
}
