"""Convolution followed by the periodic shuffle."""

from collections.abc import Sequence

import keras

from tonezoo.arguments import integer
from tonezoo.layers.initializers import ICNR
from tonezoo.layers.shuffle import channels_to_time
from tonezoo.layers.signal_layer import SignalConvolution, convolve


@keras.saving.register_keras_serializable(package="tonezoo")
class SubpixelConv1D(SignalConvolution, keras.layers.Conv1D):
    """Upsamples by a convolution with factor * filters outputs and the periodic shuffle.

    y[n * factor + p, f] = (x * w)[n, p * filters + f], the convolution "same", zero-padded, at
    the low rate.

    Args:
        filters: integer >= 1, output channels.
        kernel_size: integer >= 1, or a tuple of one, taps at the low rate.
        factor: integer >= 1, upsampling factor.
        icnr: whether all phases start alike (see ICNR), bias included.
        **kwargs: of `keras.layers.Conv1D`: activation, use_bias, initializers (with `icnr`, of one
            phase), regularizers and constraints of the kernel (kernel_size, input channels,
            factor * filters) and the bias (factor * filters,); strides, dilation_rate and groups
            must stay 1.

    Attributes:
        context: (left, right): outputs n * factor ... n * factor + factor - 1 depend on the
            samples n - left ... n + right only.

    Input shape: (batch, time, channels). Output shape: (batch, time * factor, filters).

    Raises:
        ValueError: filters, kernel_size or factor below 1; an input known to have no samples.

    Source: Pons et al., "Upsampling artifacts in neural audio synthesis", 2021.

    >>> import numpy as np
    >>> y = SubpixelConv1D(1, 3, 2, kernel_initializer="ones")(np.ones((1, 4, 1)))
    >>> print(np.ravel(y))
    [2. 2. 3. 3. 3. 3. 2. 2.]
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        factor: int,
        icnr: bool = True,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        self.factor = integer("factor", factor)
        self.icnr = icnr

    @property
    def context(self) -> tuple[int, int]:
        (taps,) = self.kernel_size
        return (taps - 1) // 2, taps // 2

    def add_weight(self, shape=None, initializer=None, name=None, **options):
        # Conv1D asks for the weights of one phase; low-rank adaptation has phases on one side.
        if name != "lora_kernel_a":
            shape = (*shape[:-1], self.factor * shape[-1])
            initializer = ICNR(initializer, self.factor) if self.icnr else initializer
        return super().add_weight(shape=shape, initializer=initializer, name=name, **options)

    def call(self, inputs):
        y = convolve(inputs, self.kernel, self.bias, padding="same")
        y = channels_to_time(y, self.factor)
        return y if self.activation is None else self.activation(y)

    def get_config(self):
        return {**super().get_config(), "factor": self.factor, "icnr": self.icnr}
