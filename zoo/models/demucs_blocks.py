"""The encoder and decoder blocks of `tonezoo.models.demucs.Demucs`."""

import keras
from keras import layers, ops

from tonezoo.layers import upsampler
from tonezoo.layers.initializers import bounded_bias, bounded_kernel


class DemucsBlock(layers.Layer):
    """What encoder and decoder blocks share: their arguments, which are their configuration.

    Args:
        filters: output channels.
        in_channels: input channels, by which weights and biases are initialised.
        kernel_size: taps of the layer that changes the rate.
        stride: factor by which it does.
        glu_kernel_size: taps of the convolution before the GLU.
        padding, glu_padding: "same" or "valid", of the one and the other.
        relu: False to leave the ReLU out.
        use_bias: False for convolutions without biases.
        rescale: see `Demucs`.
    """

    def __init__(
        self,
        filters: int,
        in_channels: int,
        *,
        kernel_size: int,
        stride: int,
        glu_kernel_size: int,
        padding: str = "same",
        glu_padding: str = "same",
        relu: bool = True,
        use_bias: bool = True,
        rescale: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = filters
        self.in_channels = in_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.glu_kernel_size = glu_kernel_size
        self.padding = padding
        self.glu_padding = glu_padding
        self.relu = relu
        self.use_bias = use_bias
        self.rescale = rescale
        self.add_layers()

    def add_layers(self):
        raise NotImplementedError

    def conv_to_glu(self, channels: int) -> layers.Conv1D:
        """Returns the convolution of `channels` channels to twice as many."""
        return layers.Conv1D(
            2 * channels,
            self.glu_kernel_size,
            padding=self.glu_padding,
            data_format="channels_last",
            **self.conv_options(channels * self.glu_kernel_size),
        )

    def conv_options(self, fan_in: int) -> dict:
        return conv_options(fan_in, self.use_bias, self.rescale, self.dtype_policy)

    def get_config(self):
        names = (
            *("filters", "in_channels", "kernel_size", "stride", "glu_kernel_size"),
            *("padding", "glu_padding", "relu", "use_bias", "rescale"),
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="tonezoo")
class DemucsEncoderBlock(DemucsBlock):
    """Strided convolution, ReLU, convolution to twice the filters, GLU; see `DemucsBlock`."""

    def add_layers(self):
        self.conv = layers.Conv1D(
            self.filters,
            self.kernel_size,
            strides=self.stride,
            padding=self.padding,
            data_format="channels_last",
            **self.conv_options(self.in_channels * self.kernel_size),
        )
        self.glu_conv = self.conv_to_glu(self.filters)

    def build(self, input_shape):
        self.conv.build(input_shape)
        self.glu_conv.build((*input_shape[:2], self.filters))
        self.built = True

    def call(self, x):
        x = self.conv(x)
        if self.relu:
            x = ops.relu(x)
        return ops.glu(self.glu_conv(x))

    def compute_output_shape(self, input_shape):
        shape = self.glu_conv.compute_output_shape(self.conv.compute_output_shape(input_shape))
        return (*shape[:2], self.filters)


@keras.saving.register_keras_serializable(package="tonezoo")
class DemucsDecoderBlock(DemucsBlock):
    """Convolution to twice the channels, GLU, upsampling layer, ReLU; see `DemucsBlock`.

    Args:
        kind: upsampling layer, of `tonezoo.layers.UPSAMPLER_KINDS`. `padding` is that of the
            transposed convolution, the other kinds give exactly `stride` times the samples.
    """

    def __init__(self, filters: int, in_channels: int, *, kind: str, **kwargs):
        self.kind = kind
        super().__init__(filters, in_channels, **kwargs)

    def add_layers(self):
        self.glu_conv = self.conv_to_glu(self.in_channels)
        transposed = self.kind == "transposed"
        # Of a transposed convolution the fan-in is counted over its outputs, as PyTorch does.
        fan_in = self.kernel_size * (self.filters if transposed else self.in_channels)
        options = self.conv_options(fan_in)
        if transposed:
            options["padding"] = self.padding
        self.upsampler = upsampler(
            self.kind, self.filters, self.kernel_size, self.stride, **options
        )

    def build(self, input_shape):
        self.glu_conv.build(input_shape)
        self.upsampler.build((*input_shape[:2], self.in_channels))
        self.built = True

    def call(self, x):
        x = self.upsampler(ops.glu(self.glu_conv(x)))
        return ops.relu(x) if self.relu else x

    def compute_output_shape(self, input_shape):
        shape = self.glu_conv.compute_output_shape(input_shape)
        return self.upsampler.compute_output_shape((*shape[:2], self.in_channels))

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}


def conv_options(fan_in: int, use_bias: bool, rescale: float | None, dtype) -> dict:
    """Returns the options of a layer that is initialised as PyTorch does, and rescaled."""
    return {
        "use_bias": use_bias,
        "kernel_initializer": bounded_kernel(fan_in, rescale),
        "bias_initializer": bounded_bias(fan_in, rescale),
        "dtype": dtype,
    }
