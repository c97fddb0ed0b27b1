"""Convolution followed by the periodic shuffle."""

import keras
from keras import initializers

from tonezoo.layers.checks import integer, not_empty
from tonezoo.layers.initializers import ICNR
from tonezoo.layers.subpixel import Subpixel1D


@keras.saving.register_keras_serializable(package="tonezoo")
class SubpixelConv1D(keras.layers.Layer):
    """Upsamples by a convolution with factor * filters outputs and the periodic shuffle.

    y[n * factor + p, f] = (x * w)[n, p * filters + f], the convolution "same", zero-padded, at
    the low rate.

    Args:
        filters: integer >= 1, output channels.
        kernel_size: integer >= 1, taps at the low rate.
        factor: integer >= 1, upsampling factor.
        icnr: whether all phases start alike (see ICNR), bias included.
        use_bias: whether to add a bias per phase and filter.
        kernel_initializer: initializer of the kernel; with `icnr`, of one phase of it.
        bias_initializer: initializer of the bias; with `icnr`, of one phase of it.

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
        filters,
        kernel_size,
        factor,
        icnr=True,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = integer("filters", filters)
        self.kernel_size = integer("kernel_size", kernel_size)
        self.factor = integer("factor", factor)
        self.icnr = icnr
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.conv = keras.layers.Conv1D(
            self.factor * self.filters,
            self.kernel_size,
            padding="same",
            use_bias=use_bias,
            kernel_initializer=self._over_phases(self.kernel_initializer),
            bias_initializer=self._over_phases(self.bias_initializer),
            dtype=self.dtype_policy,
            name="conv",
        )
        self.shuffle = Subpixel1D(self.factor, dtype=self.dtype_policy, name="shuffle")
        self.input_spec = keras.layers.InputSpec(ndim=3)

    @property
    def context(self):
        return (self.kernel_size - 1) // 2, self.kernel_size // 2

    def build(self, input_shape):
        not_empty(self, input_shape)
        self.conv.build(input_shape)

    def call(self, inputs):
        return self.shuffle(self.conv(inputs))

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return batch, None if time is None else time * self.factor, self.filters

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "factor": self.factor,
            "icnr": self.icnr,
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }

    def _over_phases(self, initializer):
        return ICNR(initializer, self.factor) if self.icnr else initializer
