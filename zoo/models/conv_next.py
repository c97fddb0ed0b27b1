"""ConvNeXt blocks on frames, of which the models that end in an inverse transform are made."""

import keras
from keras import layers, ops

KERNEL_SIZE = 7


@keras.saving.register_keras_serializable(package="tonezoo")
class ConvNextBlock(layers.Layer):
    """Depthwise convolution of 7 frames, layer norm, two dense layers, scaled and added.

    Args:
        expansion: channels between the dense layers relative to the input's.
        dropout: dropout rate between them, 0 to 1.

    Input and output shape: (batch, frames, channels).

    Source: Z. Liu et al., "A ConvNet for the 2020s" (2022), in the form of Vocos (H. Siuzdak 2023).
    """

    def __init__(self, expansion: int = 3, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.expansion = expansion
        self.dropout_rate = dropout
        dtype = self.dtype_policy
        self.conv = layers.DepthwiseConv1D(
            KERNEL_SIZE, padding="same", data_format="channels_last", dtype=dtype
        )
        self.norm = layer_norm(dtype)
        self.dropout = layers.Dropout(dropout, dtype=dtype)

    def build(self, input_shape):
        channels = input_shape[-1]
        dtype = self.dtype_policy
        self.scale = self.add_weight(
            name="scale", shape=(channels,), initializer=keras.initializers.Constant(0.125)
        )
        self.widen = layers.Dense(self.expansion * channels, activation="gelu", dtype=dtype)
        self.narrow = layers.Dense(channels, dtype=dtype)
        for layer in (self.conv, self.norm, self.widen):
            layer.build(input_shape)
        self.narrow.build((*input_shape[:-1], self.expansion * channels))
        self.built = True

    def call(self, x, training=False):
        y = self.dropout(self.widen(self.norm(self.conv(x))), training=training)
        y = self.narrow(y)
        return ops.cast(x, y.dtype) + ops.cast(self.scale, y.dtype) * y

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "expansion": self.expansion,
            "dropout": self.dropout_rate,
        }


def layer_norm(dtype) -> layers.LayerNormalization:
    return layers.LayerNormalization(epsilon=1e-6, dtype=dtype)
