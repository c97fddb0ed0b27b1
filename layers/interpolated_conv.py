"""Interpolation followed by a convolution."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from tonezoo.arguments import one_of
from tonezoo.audio.interpolation import polyphase_indices
from tonezoo.layers.interpolate import Interpolate1D
from tonezoo.layers.padding import hold_ends
from tonezoo.layers.shuffle import channels_to_time
from tonezoo.layers.signal_layer import SignalConvolution, convolve

FORMS = ("plain", "polyphase")
ENDS = ("hold", "zeros")

# Interpolators that make zeros of zeros beyond the ends, and those that make a constant of a
# sample that is held there.
ZEROS_STAY = (("nearest", "half_pixel"), ("stretch", "aligned"))
CONSTANT_WHERE_HELD = ("nearest", "linear", "learned")

# Measured: up to about this many low-rate taps per tap of the kernel the polyphase form is the
# cheaper one, backward pass included. Only the sinc, and kernels of one to three taps, have more.
POLYPHASE_TAPS_PER_KERNEL_TAP = 1.5


@keras.saving.register_keras_serializable(package="tonezoo")
class InterpolatedConv1D(SignalConvolution, keras.layers.Conv1D):
    """Interpolates by an integer factor, then convolves; the ends of the input are held.

    y[m] = bias + sum over t of w[t] v[m + t - (kernel_size - 1) // 2], m = 0 ... T * factor - 1,
    with v the interpolation of the input extended by copies of its first and last sample. With
    `ends="zeros"` v is 0 before 0 and from T * factor on, as it is where Keras's Conv1D with
    padding "same" comes after an interpolation.

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
        ends: "hold" or "zeros", above. For "cubic", "sinc" and "kaiser" zeros exist in the plain
            form only.
        **kwargs: of `keras.layers.Conv1D`: activation, use_bias, initializers, regularizers and
            constraints of the kernel (kernel_size, input channels, filters) and the bias
            (filters,); strides, dilation_rate and groups must stay 1.

    Attributes:
        context: (left, right): outputs n * factor ... n * factor + factor - 1 depend on the
            samples n - left ... n + right only.

    Input shape: (batch, time, channels). Output shape: (batch, time * factor, filters).

    Raises:
        ValueError: as Interpolate1D does; an unknown form or ends, or a form that lacks the ends;
            filters or kernel_size below 1.

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
        ends: str = "hold",
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
        self.ends = one_of("ends", ends, ENDS)
        self._zeros_stay = (method, self.interpolate.grid) in ZEROS_STAY
        exists = ends == "hold" or self._zeros_stay or method in CONSTANT_WHERE_HELD
        if form is None:
            polyphase = exists and len(self._indices) <= POLYPHASE_TAPS_PER_KERNEL_TAP * taps
            form = "polyphase" if polyphase else "plain"
        self.form = one_of("form", form, FORMS)
        if form == "polyphase" and not exists:
            raise ValueError(
                f"method={method!r} with ends='zeros' has the plain form only: leave form out or "
                "pass form='plain'"
            )

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
        if self.ends == "zeros":
            return convolve(self.interpolate(x), self.kernel, self.bias, padding="same")
        before, after = self._reach
        left, right = -(-before // self.factor), -(-after // self.factor)
        v = self.interpolate(hold_ends(x, left, right))
        v = v[:, left * self.factor - before : after - right * self.factor or None]
        return convolve(v, self.kernel, self.bias)

    @property
    def _reach(self) -> tuple[int, int]:
        """Taps of the kernel before and after its sample, at the high rate."""
        (taps,) = self.kernel_size
        return (taps - 1) // 2, taps // 2

    def _polyphase(self, x):
        left, right = -self._first, self._first + len(self._indices) - 1
        pad_zeros = self.ends == "zeros" and self._zeros_stay
        if pad_zeros:
            extended = ops.pad(x, ((0, 0), (left, right), (0, 0)))
        else:
            extended = self.interpolate.extend(x, left, right)
        bias = ops.tile(self.bias, (self.factor,)) if self.use_bias else None
        y = channels_to_time(convolve(extended, self._folded_kernel(), bias), self.factor)
        return y if self.ends == "hold" or pad_zeros else y - self._of_held_ends(x)

    def _of_held_ends(self, x):
        """Returns what the samples held beyond the ends add to the output."""
        before, after = self._reach
        kernel = ops.convert_to_tensor(self.kernel)
        rest = ops.zeros((ops.shape(x)[0], ops.shape(x)[1] * self.factor, self.filters), x.dtype)
        total = rest
        if before:
            # Output m, below `before`, has the first before - m taps of the kernel beyond the end.
            sums = ops.flip(ops.cumsum(kernel[:before], axis=0), axis=0)
            part = ops.einsum("bc,mcf->bmf", x[:, 0], sums)
            total = total + ops.concatenate([part, rest], axis=1)[:, : -before or None]
        if after:
            sums = ops.cumsum(ops.flip(kernel[-after:], axis=0), axis=0)
            part = ops.einsum("bc,mcf->bmf", x[:, -1], sums)
            total = total + ops.concatenate([rest, part], axis=1)[:, after:]
        return total

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
            "ends": self.ends,
        }
