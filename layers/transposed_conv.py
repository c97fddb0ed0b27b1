"""Transposed convolution that knows how its kernel overlaps."""

import warnings
from collections.abc import Sequence
from typing import ClassVar

import keras
from keras import ops

from tonezoo.arguments import one_integer, one_of
from tonezoo.layers.masks import mask_extended, mask_per_output
from tonezoo.layers.shuffle import channels_to_time
from tonezoo.layers.signal_layer import SignalConvolution, add_bias, convolve


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
        **kwargs: of `keras.layers.Conv1DTranspose`: activation, use_bias, initializers,
            regularizers and constraints of the kernel (kernel_size, filters, input channels) and
            the bias (filters,); dilation_rate must stay 1 and output_padding None.

    Attributes:
        overlap: "none" (length = strides), "full" (length a multiple of the strides), "partial"
            (longer, no multiple) or "gaps" (shorter).
        context: (left, right): outputs n * strides ... n * strides + strides - 1 depend on the
            samples n - left ... n + right only.

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
            length, stride = self.kernel_size[0], self.strides[0]
            warnings.warn(
                f"TransposedConv1D(kernel_size={length}, strides={stride}) has {self.overlap} "
                f"overlap, which writes a tone of period {stride} into its output; choose a "
                f"kernel_size that is a multiple of the strides",
                UserWarning,
                stacklevel=2,
            )

    @property
    def overlap(self) -> str:
        length, stride = self.kernel_size[0], self.strides[0]
        if length < stride:
            return "gaps"
        if length % stride:
            return "partial"
        return "none" if length == stride else "full"

    @property
    def context(self) -> tuple[int, int]:
        stride, beyond = self.strides[0], max(self.kernel_size[0] - self.strides[0], 0)
        left_out = self._left_out
        return -(-(beyond - left_out) // stride), (left_out + stride - 1) // stride

    @property
    def _left_out(self) -> int:
        """Samples of the whole output before the first."""
        beyond = max(self.kernel_size[0] - self.strides[0], 0)
        return beyond // 2 if self.padding == "same" else 0

    @property
    def _tail(self):
        """Samples of the output beyond time * strides."""
        return self.kernel_size[0] - self.strides[0] if self.padding == "valid" else 0

    def call(self, inputs):
        if keras.backend.backend() == "jax":
            y = self._polyphase(inputs)
        else:
            y = ops.conv_transpose(
                inputs,
                self.kernel,
                strides=self.strides[0],
                padding=self.padding,
                data_format="channels_last",
            )
            if self._tail < 0:
                y = y[:, : self._tail]  # Keras ends on the last sample's zeros.
        y = add_bias(y, self.bias) if self.use_bias else y
        return y if self.activation is None else self.activation(y)

    def _polyphase(self, x):
        """Returns the same by a convolution at the low rate with all phases as its filters.

        XLA's gradients of a strided transposed convolution take twenty times as long.
        """
        (length,), (stride,) = self.kernel_size, self.strides
        taps = -(-length // stride)
        kernel = ops.pad(self.kernel, ((0, taps * stride - length), (0, 0), (0, 0)))
        kernel = ops.reshape(kernel, (taps, stride, self.filters, -1))
        # (tap, phase, filter, channel) -> (tap, channel, phase * filter), the latest sample last
        kernel = ops.transpose(ops.flip(kernel, axis=0), (0, 3, 1, 2))
        kernel = ops.reshape(kernel, (taps, -1, stride * self.filters))
        skipped, start = divmod(self._left_out, stride)
        if self.padding == "same":
            after, end = skipped + (start > 0), start - stride if start else 0
        else:
            after, end = taps - 1, length - taps * stride
        x = ops.pad(x, ((0, 0), (taps - 1 - skipped, after), (0, 0)))
        return channels_to_time(convolve(x, kernel), stride)[:, start : end or None]

    def compute_mask(self, inputs, previous_mask):
        return mask_extended(mask_per_output(previous_mask, self.strides[0]), self._tail)

    def compute_output_shape(self, input_shape):
        batch, time, _ = input_shape
        return (
            batch,
            None if time is None else time * self.strides[0] + self._tail,
            self.filters,
        )
