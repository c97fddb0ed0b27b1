"""Interpolation followed by a convolution."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tonezoo.layers.checks import one_of
from tonezoo.layers.interpolate import Interpolate1D
from tonezoo.layers.interpolation import polyphase_indices
from tonezoo.layers.padding import hold_ends
from tonezoo.layers.shuffle import channels_to_time
from tonezoo.layers.signal_layer import SignalConvolution, convolve

FORMS = ("plain", "polyphase")

# Measured: up to about this many low-rate taps per tap of the kernel the polyphase form is the
# cheaper one, backward pass included. Only the sinc, and kernels of one to three taps, have more.
POLYPHASE_TAPS_PER_KERNEL_TAP = 1.5


@keras.saving.register_keras_serializable(package="tonezoo")
class InterpolatedConv1D(SignalConvolution, keras.layers.Conv1D):
    """Interpolates by an integer factor, then convolves; the ends of the input are held.

    y[m] = bias + sum over t of w[t] v[m + t - (kernel_size - 1) // 2], m = 0 ... T * factor - 1,
    with v the interpolation of the input extended by copies of its first and last sample.

    The form says how it is computed, not what. "plain" does just that. "polyphase" folds the
    interpolator into the kernel, W[i, c, p, f] = sum over t of M[i, p, t] w[t, c, f], convolves
    with it at the low rate and shuffles the phases into time: nothing but the output exists at
    the high rate. For "cubic" the spline's prefilter runs first, one channel at a time.

    Args:
        filters: integer >= 1, output channels.
        kernel_size: integer >= 1, or a tuple of one, taps at the high rate.
        factor: integer >= 1, high-rate samples per low-rate sample.
        method: as in Interpolate1D.
        grid: as in Interpolate1D.
        form: "plain", "polyphase", or None for the one measured cheaper: polyphase, except where
            its kernel has more than 1.5 times the taps (the sinc, unless `kernel_size` is long).
        **kwargs: of `keras.layers.Conv1D`: activation, use_bias, initializers, regularizers and
            constraints of the kernel (kernel_size, input channels, filters) and the bias
            (filters,); strides, dilation_rate and groups must stay 1.

    Attributes:
        context: (left, right): outputs n * factor ... n * factor + factor - 1 depend on the
            samples n - left ... n + right only.

    Input shape: (batch, time, channels). Output shape: (batch, time * factor, filters).

    Raises:
        ValueError: as Interpolate1D does; an unknown form; filters or kernel_size below 1.

    >>> import numpy as np
    >>> x = np.array([0.0, 1.0, 3.0]).reshape(1, 3, 1)
    >>> layer = InterpolatedConv1D(1, 2, 2, "nearest", kernel_initializer="ones")
    >>> print(np.ravel(layer(x)))  # sums of neighbours of 0 0 1 1 3 3 3
    [0. 1. 2. 4. 6. 6.]
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        factor: int,
        method: str = "nearest",
        grid: str | None = None,
        form: str | None = None,
        **kwargs,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        self.interpolate = Interpolate1D(
            factor, method, grid, dtype=self.dtype_policy, name="interpolate"
        )
        self.factor = self.interpolate.factor
        (taps,) = self.kernel_size
        self._indices, self._first = polyphase_indices(
            self.interpolate.taps, self.interpolate.offset, taps
        )
        if form is None:
            polyphase = len(self._indices) <= POLYPHASE_TAPS_PER_KERNEL_TAP * taps
            form = "polyphase" if polyphase else "plain"
        self.form = one_of("form", form, FORMS)

    @property
    def context(self) -> tuple[int, int]:
        reach = self.interpolate.prefilter_reach
        return reach - self._first, reach + self._first + len(self._indices) - 1

    def build(self, input_shape):
        super().build(input_shape)
        self.interpolate.build(input_shape)

    def call(self, inputs):
        y = self._plain(inputs) if self.form == "plain" else self._polyphase(inputs)
        return y if self.activation is None else self.activation(y)

    def _plain(self, x):
        (taps,) = self.kernel_size
        before = (taps - 1) // 2
        after = taps - 1 - before
        left, right = -(-before // self.factor), -(-after // self.factor)
        v = self.interpolate(hold_ends(x, left, right))
        v = v[:, left * self.factor - before : after - right * self.factor or None]
        return convolve(v, self.kernel, self.bias)

    def _polyphase(self, x):
        x = self.interpolate.extend(x, -self._first, self._first + len(self._indices) - 1)
        bias = ops.tile(self.bias, (self.factor,)) if self.use_bias else None
        return channels_to_time(convolve(x, self._folded_kernel(), bias), self.factor)

    def _folded_kernel(self):
        """Returns W[tap, channel, phase * filters], the interpolator folded into the kernel."""
        if self.interpolate.method == "learned":
            channels = self.kernel.shape[1]
            rows = ops.reshape(self.interpolate.phase_taps(channels), (-1, channels))
            rows = ops.concatenate([rows, ops.zeros_like(rows[:1])], axis=0)
            fold = ops.take(rows, self._indices, axis=0)
            kernel = ops.einsum("iptc,tcf->icpf", fold, self.kernel)
        else:
            fold = np.append(self.interpolate.taps.ravel(), 0.0)[self._indices]
            fold = ops.convert_to_tensor(fold, dtype=self.compute_dtype)
            kernel = ops.tensordot(fold, self.kernel, axes=1)
            kernel = ops.transpose(kernel, (0, 2, 1, 3))
        taps, channels, factor, filters = kernel.shape
        return ops.reshape(kernel, (taps, channels, factor * filters))

    def get_config(self):
        return {
            **super().get_config(),
            "factor": self.factor,
            "method": self.interpolate.method,
            "grid": self.interpolate.grid,
            "form": self.form,
        }
