"""What all layers have in common: the input is a batch of signals, (batch, time, channels)."""

from typing import ClassVar

import keras
from keras import ops

from tonezoo.arguments import integer, one_integer
from tonezoo.layers.checks import check_signal
from tonezoo.layers.masks import mask_per_output


class SignalLayer(keras.layers.Layer):
    """A layer of signals (batch, time, channels); a mask (batch, time) stays what it is.

    Where a layer changes the rate, the mask follows: see `tonezoo.layers.masks`.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def __call__(self, inputs, *args, **kwargs):
        check_signal(self, inputs)
        return super().__call__(inputs, *args, **kwargs)

    def compute_mask(self, inputs, previous_mask):
        return previous_mask

    def fix_channels(self, input_shape) -> None:
        """Makes the number of channels part of the input's specification."""
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={-1: input_shape[-1]})


class SignalConvolution(SignalLayer):
    """Mixed in before a convolution of Keras: its options, of which those in `fixed` stay.

    `factor` is the number of outputs for each input sample.
    """

    factor = 1

    fixed: ClassVar[dict] = {
        "strides": (1,),
        "padding": "same",
        "data_format": "channels_last",
        "dilation_rate": (1,),
        "groups": 1,
    }

    def __init__(self, filters, kernel_size, **options):
        super().__init__(
            integer("filters", filters),
            one_integer("kernel_size", kernel_size),
            **{**self.fixed, **options},
        )
        values = {name: getattr(self, name) for name in self.fixed}
        if values != self.fixed:
            others = {name: value for name, value in values.items() if value != self.fixed[name]}
            raise ValueError(
                f"{type(self).__name__} has fixed options: {_listed(self.fixed)}. Received: "
                f"{_listed(others)}. Use Keras's own convolution for others"
            )

    def build(self, input_shape):
        super().build(input_shape)
        self.fix_channels(input_shape)

    def compute_mask(self, inputs, previous_mask):
        return mask_per_output(previous_mask, self.factor)

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return batch, None if time is None else time * self.factor, self.filters

    def get_config(self):
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in self.fixed}


def convolve(x, kernel, bias=None, padding: str = "valid"):
    """Returns the convolution of x (batch, time, channels), plus the bias (filters,) if any."""
    y = ops.conv(x, kernel, padding=padding, data_format="channels_last")
    return y if bias is None else add_bias(y, bias)


def add_bias(y, bias):
    """Returns y (batch, time, filters) + bias (filters,).

    Through `ops.add` and this shape TensorFlow fuses the bias into the convolution before it; the
    operator + would be a pass of its own over the output.
    """
    return ops.add(y, ops.reshape(bias, (1, 1, -1)))


def _listed(options: dict) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())
