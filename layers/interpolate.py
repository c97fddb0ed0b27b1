"""Interpolation by an integer factor."""

import keras
import numpy as np
from keras import ops

from tonezoo.arguments import integer
from tonezoo.audio.interpolation import interpolation_taps, resolve_grid, spline_prefilter
from tonezoo.layers.masks import mask_per_output
from tonezoo.layers.padding import hold_ends
from tonezoo.layers.signal_layer import SignalLayer


@keras.saving.register_keras_serializable(package="tonezoo")
class Interpolate1D(SignalLayer):
    """Interpolates a signal in time by an integer factor, its ends held.

    y[n r + p] = sum over j of a[p, j] x[n + offset + j], with x extended by copies of its first
    and last sample: exactly T * factor samples for every T >= 1.

    Methods: "nearest"; "linear"; "cubic", the cardinal cubic spline; "sinc", with a Kaiser window,
    8 zero crossings a side and every phase scaled to a DC gain of 1 (ASSUMED: no source fixes it);
    "kaiser", BigVGAN's short alias-free filter, 3 zero crossings a side (see
    `tonezoo.audio.interpolation.kaiser_low_pass`), scaled likewise, which changes it for factors
    above 2 only; "stretch", zeros between the samples, no gain (ASSUMED); "learned", which gives
    y[n r + p] = s[p] x[n] + (1 - s[p]) x[n + 1] with factor - 1 weights s = sigmoid(logits) per
    channel that start as linear interpolation (ASSUMED beyond factor 2).

    Args:
        factor: integer >= 1, high-rate samples per low-rate sample.
        method: one of the above.
        grid: "half_pixel" (sample n in the middle of its `factor` outputs), "aligned" (sample n
            on output n * factor; a tie of "nearest" goes to the earlier sample), or None for
            the default: half-pixel for nearest, linear and kaiser, aligned for the others. Stretch
            and learned exist on the aligned grid only.

    Attributes:
        context: (left, right): outputs n * factor ... n * factor + factor - 1 depend on the
            samples n - left ... n + right only.

    Input shape: (batch, time, channels). Output shape: (batch, time * factor, channels).

    Raises:
        ValueError: an unknown method or grid, a method that lacks the grid, a factor below 1, an
            input known to have no samples.

    Source: learned interpolation: Stoller et al., "Wave-U-Net", 2018, "Learned upsampling"; kaiser:
    Lee et al., "BigVGAN", 2023, section 3.2.

    >>> import numpy as np
    >>> x = np.array([0.0, 4.0, 8.0]).reshape(1, 3, 1)
    >>> print(np.ravel(Interpolate1D(2, "linear")(x)))
    [0. 1. 3. 5. 7. 8.]
    >>> print(np.ravel(Interpolate1D(2, "linear", grid="aligned")(x)))
    [0. 2. 4. 6. 8. 8.]
    """

    def __init__(self, factor: int, method: str = "linear", grid: str | None = None, **kwargs):
        super().__init__(**kwargs)
        self.factor = integer("factor", factor)
        self.grid = resolve_grid(method, grid)
        self.method = method
        self.taps, self.offset = interpolation_taps(method, self.factor, self.grid)
        self.prefilter = spline_prefilter() if method == "cubic" else None
        self.prefilter_reach = 0 if self.prefilter is None else len(self.prefilter) // 2
        self.learns = method == "learned" and self.factor > 1
        self.built = not self.learns  # The others have no weights.

    @property
    def context(self) -> tuple[int, int]:
        left, right = -self.offset, self.offset + self.taps.shape[1] - 1
        return left + self.prefilter_reach, right + self.prefilter_reach

    def build(self, input_shape):
        if self.learns:
            self.fix_channels(input_shape)
            self.logits = self.add_weight(
                name="logits",
                shape=(self.factor - 1, input_shape[-1]),
                initializer=_linear_logits,
            )

    def phase_taps(self, channels: int):
        """Returns the taps as a tensor (phase, tap, channel)."""
        if not self.learns:
            return self._constant(self.taps[:, :, None], channels)
        earlier = ops.sigmoid(ops.convert_to_tensor(self.logits))
        earlier = ops.concatenate([ops.ones_like(earlier[:1]), earlier], axis=0)
        return ops.stack([earlier, 1.0 - earlier], axis=1)

    def extend(self, x, left: int, right: int):
        """Returns `x`, or its spline coefficients, `left` and `right` samples beyond its ends."""
        x = hold_ends(x, left + self.prefilter_reach, right + self.prefilter_reach)
        if self.prefilter is None:
            return x
        kernel = self._constant(self.prefilter[:, None, None], x.shape[-1], axis=1)
        return _convolve_depthwise(x, kernel)

    def call(self, inputs):
        batch, time, channels = ops.shape(inputs)
        x = self.extend(inputs, -self.offset, self.offset + self.taps.shape[1] - 1)
        # (phase, tap, channel) -> (tap, channel, phase), the layout of depthwise kernels
        kernel = ops.transpose(self.phase_taps(channels), (1, 2, 0))
        y = _convolve_depthwise(x, kernel)
        y = ops.reshape(y, (batch, time, channels, self.factor))
        # (batch, time, channel, phase) -> (batch, time * phase, channel)
        y = ops.transpose(y, (0, 1, 3, 2))
        return ops.reshape(y, (batch, time * self.factor, channels))

    def compute_mask(self, inputs, previous_mask):
        return mask_per_output(previous_mask, self.factor)

    def compute_output_shape(self, input_shape):
        batch, time, channels = input_shape
        return batch, None if time is None else time * self.factor, channels

    def get_config(self):
        return {
            **super().get_config(),
            "factor": self.factor,
            "method": self.method,
            "grid": self.grid,
        }

    def _constant(self, values, channels, axis=-1):
        values = ops.convert_to_tensor(values, dtype=self.compute_dtype)
        return ops.repeat(values, channels, axis=axis)


def _convolve_depthwise(x, kernel):
    return ops.depthwise_conv(x, kernel, padding="valid", data_format="channels_last")


def _linear_logits(shape, dtype=None):
    phase = np.arange(1, shape[0] + 1)
    logits = np.log((shape[0] + 1 - phase) / phase)  # sigmoid gives 1 - phase / factor
    return ops.convert_to_tensor(np.broadcast_to(logits[:, None], shape), dtype=dtype)
