"""Transposed convolution that knows how its kernel overlaps."""

import warnings

import keras
from keras import initializers, ops

from tonezoo.layers.bias import add_bias
from tonezoo.layers.checks import integer, not_empty, one_of


@keras.saving.register_keras_serializable(package="tonezoo")
class TransposedConv1D(keras.layers.Layer):
    """Transposed convolution: every input sample adds a scaled kernel, `strides` samples apart.

    y[m] = bias + sum over n of w[m - n * strides] x[n]. "valid" keeps all
    (T - 1) * strides + kernel_size samples. "same" keeps T * strides: it leaves out
    max(kernel_size - strides, 0) // 2 on the left and the rest on the right; a kernel shorter
    than the strides is followed by zeros.

    Args:
        filters: integer >= 1, output channels.
        kernel_size: integer >= 1, taps at the high rate ("length").
        strides: integer >= 1, upsampling factor.
        padding: "same" or "valid".
        use_bias: whether to add a bias per filter.
        kernel_initializer: initializer of the kernel (kernel_size, filters, input channels).
        bias_initializer: initializer of the bias (filters,).

    Attributes:
        overlap: "none" (length = strides), "full" (length a multiple of the strides), "partial"
            (longer, no multiple) or "gaps" (shorter).

    Input shape: (batch, time, channels). Output shape: (batch, length as above, filters).

    Raises:
        ValueError: an unknown padding; filters, kernel_size or strides below 1; an input known to
            have no samples.

    Warns with UserWarning when constructed with partial overlap or gaps, both of which give a
    constant input a periodic output.

    Source: Pons et al., "Upsampling artifacts in neural audio synthesis", 2021.

    >>> import numpy as np
    >>> layer = TransposedConv1D(1, 4, 2, padding="valid", kernel_initializer="ones")
    >>> print(layer.overlap, np.ravel(layer(np.ones((1, 4, 1)))))
    full [1. 1. 2. 2. 2. 2. 2. 2. 1. 1.]
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = integer("filters", filters)
        self.kernel_size = integer("kernel_size", kernel_size)
        self.strides = integer("strides", strides)
        self.padding = one_of("padding", padding, ("same", "valid"))
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=3)
        if self.overlap in ("partial", "gaps"):
            warnings.warn(
                f"TransposedConv1D(kernel_size={self.kernel_size}, strides={self.strides}) has "
                f"{self.overlap} overlap, which writes a tone of period {self.strides} into its "
                f"output; choose a kernel_size that is a multiple of the strides",
                UserWarning,
                stacklevel=2,
            )

    @property
    def overlap(self):
        if self.kernel_size < self.strides:
            return "gaps"
        if self.kernel_size % self.strides:
            return "partial"
        return "none" if self.kernel_size == self.strides else "full"

    def build(self, input_shape):
        not_empty(self, input_shape)
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.filters, input_shape[-1]),
            initializer=self.kernel_initializer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.filters,), initializer=self.bias_initializer
            )

    def call(self, inputs):
        y = ops.conv_transpose(inputs, self.kernel, strides=self.strides, padding=self.padding)
        if self.padding == "valid" and self.overlap == "gaps":
            y = y[:, : self.kernel_size - self.strides]  # Keras ends on the last sample's zeros
        return add_bias(y, self.bias) if self.use_bias else y

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        if time is not None:
            time *= self.strides
            if self.padding == "valid":
                time += self.kernel_size - self.strides
        return batch, time, self.filters

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }
