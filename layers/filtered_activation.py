"""Activations at a higher rate, whose harmonics beyond the band are filtered off."""

import math

import keras
import numpy as np
from keras import ops

from tonezoo.layers.checks import integer
from tonezoo.layers.padding import hold_ends
from tonezoo.layers.signal_layer import SignalLayer


@keras.saving.register_keras_serializable(package="tonezoo")
class FilteredActivation1D(SignalLayer):
    """Applies an activation at `factor` times the rate, between an interpolation and a low-pass.

    At its own rate an activation folds the harmonics that it makes back into the band. Here the
    signal is interpolated by `kaiser_low_pass(factor)`, put through the activation, and decimated
    by the same filter; its ends are held. The filter is short, 12 taps at a factor of 2: it softens
    the top of the band and leaves some of what lies above it. A mask stays as it is.

    Args:
        activation: name or function, as of `keras.layers.Activation`.
        factor: integer >= 2.

    Attributes:
        context: (left, right): an output depends on as many samples before and after it.

    Input shape: (batch, time, channels). Output shape: the same.

    Raises:
        ValueError: a factor below 2, an unknown activation, an input known to have no samples.

    Source: Lee et al., "BigVGAN", 2023, section 3.2; the filter, Karras et al., "Alias-Free
    Generative Adversarial Networks", 2021.

    >>> import numpy as np
    >>> print(np.ravel(FilteredActivation1D("relu")(np.ones((1, 3, 1)))).round(4))
    [1. 1. 1.]
    """

    def __init__(self, activation, factor: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.activation = keras.activations.get(activation)
        self.factor = integer("factor", factor, least=2)
        self.taps = kaiser_low_pass(self.factor)
        # Output n * factor + p of the interpolation weighs sample n + j, -left <= j <= right, by
        # tap p + shift - j * factor.
        shift = (len(self.taps) - self.factor) // 2
        self.left = (shift + self.factor - 1) // self.factor
        self.right = (len(self.taps) - 1 - shift) // self.factor
        places = np.arange(-self.left, self.right + 1)
        index = np.arange(self.factor)[None] + shift - places[:, None] * self.factor
        inside = (index >= 0) & (index < len(self.taps))
        # (place, phase)
        self.phase_taps = np.where(inside, self.taps[index.clip(0, len(self.taps) - 1)], 0.0)
        self.built = True  # It has no weights.

    @property
    def context(self) -> tuple[int, int]:
        reached = [
            place // self.factor + j
            for place in range(-((len(self.taps) - 1) // 2), len(self.taps) // 2 + 1)
            for j in np.flatnonzero(self.phase_taps[:, place % self.factor]) - self.left
        ]
        return -int(min(reached)), int(max(reached))

    def call(self, inputs):
        batch, time, channels = ops.shape(inputs)
        x = ops.cast(inputs, self.compute_dtype)
        x = hold_ends(x, self.left, self.right)
        # Depthwise kernels are (tap, channel, phase).
        kernel = self._kernel(self.factor * self.phase_taps[:, None], channels)
        y = ops.depthwise_conv(x, kernel, padding="valid", data_format="channels_last")
        # (batch, time, channel * phase) -> (batch, time, phase, channel)
        y = ops.transpose(ops.reshape(y, (batch, time, channels, self.factor)), (0, 1, 3, 2))
        y = self.activation(ops.reshape(y, (batch, time * self.factor, channels)))
        y = hold_ends(y, (len(self.taps) - 1) // 2, len(self.taps) // 2)
        kernel = self._kernel(self.taps[:, None, None], channels)
        y = ops.depthwise_conv(
            y, kernel, strides=self.factor, padding="valid", data_format="channels_last"
        )
        return y[:, :time]

    def _kernel(self, taps, channels):
        return ops.repeat(ops.convert_to_tensor(taps, self.compute_dtype), channels, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "factor": self.factor,
        }


def kaiser_low_pass(factor: int) -> np.ndarray:
    """Returns the low-pass for resampling by a factor, (taps,), of gain 1: a Kaiser-windowed sinc.

    2 * (6 factor // 2) taps; in shares of the high rate, its cutoff is 0.5 / factor and half of its
    transition 0.6 / factor wide.

    >>> taps = kaiser_low_pass(2)
    >>> print(len(taps), taps.sum().round(6), taps.round(4).tolist()[:6])
    12 1.0 [0.002, 0.0094, -0.0255, -0.0577, 0.1286, 0.4432]
    """
    half = 6 * factor // 2
    attenuation_db = 2.285 * (half - 1) * math.pi * 4 * (0.6 / factor) + 7.95
    if attenuation_db > 50:
        beta = 0.1102 * (attenuation_db - 8.7)
    elif attenuation_db >= 21:
        beta = 0.5842 * (attenuation_db - 21) ** 0.4 + 0.07886 * (attenuation_db - 21)
    else:
        beta = 0.0
    time = np.arange(-half, half) + 0.5
    taps = np.kaiser(2 * half, beta) * np.sinc(time / factor)
    return taps / taps.sum()
