"""Transposed convolution that knows how its kernel overlaps."""

import warnings
from collections.abc import Sequence
from typing import ClassVar

import keras
from keras import ops

from tonezoo.layers.checks import one_integer, one_of
from tonezoo.layers.shuffle import mask_per_output
from tonezoo.layers.signal_layer import SignalConvolution, add_bias


@keras.saving.register_keras_serializable(package="tonezoo")
class TransposedConv1D(SignalConvolution, keras.layers.Conv1DTranspose):
    """Transposed convolution: every input sample adds a scaled kernel, `strides` samples apart.

    y[m] = bias + sum over n of w[m - n * strides] x[n]. "valid" keeps all
    (T - 1) * strides + kernel_size samples. "same" keeps T * strides: it leaves out
    max(kernel_size - strides, 0) // 2 on the left and the rest on the right; a kernel shorter
    than the strides is followed by zeros.

    Args:
        filters: integer >= 1, output channels.
        kernel_size: integer >= 1, or a tuple of one, taps at the high rate ("length").
        strides: integer >= 1, or a tuple of one, upsampling factor.
        padding: "same" or "valid".
        **kwargs: of `keras.layers.Conv1DTranspose`: activation, use_bias, initializers, regularizers
            and constraints of the kernel (kernel_size, filters, input channels) and the bias
            (filters,); dilation_rate must stay 1 and output_padding None.

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

    fixed: ClassVar[dict] = {
        "data_format": "channels_last",
        "dilation_rate": (1,),
        "output_padding": None,
    }

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int],
        padding: str = "same",
        **kwargs,
    ):
        super().__init__(
            filters,
            kernel_size,
            strides=one_integer("strides", strides),
            padding=one_of("padding", padding, ("same", "valid")),
            **kwargs,
        )
        if self.overlap in ("partial", "gaps"):
            warnings.warn(
                f"TransposedConv1D(kernel_size={self.kernel_size[0]}, strides={self.strides[0]}) has "
                f"{self.overlap} overlap, which writes a tone of period {self.strides[0]} into "
                f"its output; choose a kernel_size that is a multiple of the strides",
                UserWarning,
                stacklevel=2,
            )

    @property
    def overlap(self) -> str:
        length, stride = *self.kernel_size, *self.strides
        if length < stride:
            return "gaps"
        if length % stride:
            return "partial"
        return "none" if length == stride else "full"

    def call(self, inputs):
        y = self._spread(inputs, self.kernel)
        y = add_bias(y, self.bias) if self.use_bias else y
        return y if self.activation is None else self.activation(y)

    def _spread(self, x, kernel):
        y = ops.conv_transpose(
            x,
            kernel,
            strides=self.strides[0],
            padding=self.padding,
            data_format="channels_last",
        )
        if self.padding == "valid" and self.overlap == "gaps":
            y = y[:, : self.kernel_size[0] - self.strides[0]]  # Keras ends on zeros.
        return y

    def compute_mask(self, inputs, previous_mask):
        length, stride = *self.kernel_size, *self.strides
        if previous_mask is None or self.padding == "same":
            return mask_per_output(previous_mask, stride)
        # Valid is what the kernel of a valid sample reaches, a gap behind it included.
        signal = ops.cast(previous_mask[:, :, None], self.compute_dtype)
        reach = ops.ones((max(length, stride), 1, 1), self.compute_dtype)
        return ops.greater(self._spread(signal, reach)[:, :, 0], 0)

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        length, stride = *self.kernel_size, *self.strides
        if time is not None:
            time *= stride
            if self.padding == "valid":
                time += length - stride
        return batch, time, self.filters
