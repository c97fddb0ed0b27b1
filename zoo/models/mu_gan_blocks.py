"""The blocks that MU-GAN's networks share: multiscale convolution, activation, change of rate.

Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 3. The PReLU
slope per channel and the N(0, 1e-3) start of the last convolution are ASSUMED.
"""

import keras
from keras import layers

from tonezoo.layers import FoldedConv1D, MultiscaleConv1D, Subpixel1D, Superpixel1D

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
