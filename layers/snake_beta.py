"""SnakeBeta, the periodic activation of vocoders, plain and as a difference of antiderivatives."""

import keras
from keras import ops

from tonezoo.layers.signal_layer import SignalLayer

# Below this angle 1 - angle^2 / 6 is its sine over itself to float32's rounding.
SMALL_ANGLE = 1e-2


@keras.saving.register_keras_serializable(package="tonezoo")
class SnakeBeta1D(SignalLayer):
    """Adds a squared sine to the signal: y = x + sin(alpha x)^2 / beta, per channel.

    alpha, the frequency, and 1 / beta, the amplitude, are learned as logarithms, which start at 0.
    With `antiderivative=True` the output is the mean of the same function over the straight line
    from the last sample to this one, which folds less of its harmonics back: with
    s = x[n] + x[n - 1] and d = x[n] - x[n - 1],

        y[n] = s / 2 + (1 - cos(alpha s) sin(alpha d) / (alpha d)) / (2 beta),

    half a sample late and, as a mean of two samples, softer in the treble: by |cos(pi f)|, f in
    cycles per sample. Before the first sample the signal is held, so that y[0] is the function of
    x[0]. The filtered form is `FilteredActivation1D(SnakeBeta1D())`.

    Args:
        antiderivative: see above.

    Attributes:
        context: (left, right): an output depends on as many samples before and after it.

    Input shape: (batch, time, channels). Output shape: the same.

    Raises:
        ValueError: an input known to have no samples.

    Source: Lee et al., "BigVGAN", 2023, section 3.2, and its published code; the antiderivative
    form: Parker et al., "Reducing the Aliasing of Nonlinear Waveshaping Using Continuous-Time
    Convolution", 2016.

    >>> import numpy as np
    >>> x = np.array([0.0, np.pi / 2, np.pi]).reshape(1, 3, 1)
    >>> print(np.ravel(SnakeBeta1D()(x)).round(4))  # sin^2 is 0, 1, 0
    [0.     2.5708 3.1416]
    >>> print(np.ravel(SnakeBeta1D(antiderivative=True)(x)).round(4))  # its mean in between is 1/2
    [0.     1.2854 2.8562]
    """

    def __init__(self, antiderivative: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.antiderivative = antiderivative

    @property
    def context(self) -> tuple[int, int]:
        return (1 if self.antiderivative else 0), 0

    def build(self, input_shape):
        self.fix_channels(input_shape)
        shape = (input_shape[-1],)
        self.log_alpha = self.add_weight(name="log_alpha", shape=shape, initializer="zeros")
        self.log_beta = self.add_weight(name="log_beta", shape=shape, initializer="zeros")

    def call(self, inputs):
        alpha, half_amplitude = ops.exp(self.log_alpha), 0.5 * ops.exp(-self.log_beta)
        if not self.antiderivative:
            return inputs + 2 * half_amplitude * ops.square(ops.sin(alpha * inputs))
        before = ops.concatenate([inputs[:, :1], inputs[:, :-1]], axis=1)
        total, difference = inputs + before, inputs - before
        mean = ops.cos(alpha * total) * sine_over_angle(alpha * difference)
        return 0.5 * total + half_amplitude * (1 - mean)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "antiderivative": self.antiderivative}


def sine_over_angle(angle):
    """Returns sin(angle) / angle, 1 at 0, with a gradient everywhere.

    >>> import numpy as np
    >>> print(np.array(sine_over_angle(np.array([0.0, np.pi / 2]))).round(4))
    [1.     0.6366]
    """
    small = ops.abs(angle) < SMALL_ANGLE
    divisor = ops.where(small, ops.ones_like(angle), angle)
    return ops.where(small, 1 - ops.square(angle) / 6, ops.sin(divisor) / divisor)
