"""Inverse of the periodic shuffle: time to channels."""

import keras
from keras import ops

from tonezoo.layers.checks import integer, not_empty


@keras.saving.register_keras_serializable(package="tonezoo")
class Superpixel1D(keras.layers.Layer):
    """Turns consecutive samples into groups of channels: the inverse of Subpixel1D.

    y[n, p * C + c] = x[n * factor + p, c]. A time axis that is no multiple of the factor is
    padded with zeros at its end: ceil(T / factor) samples come out.

    Args:
        factor: integer >= 1, input samples per output sample.

    Input shape: (batch, time, channels). Output shape:
    (batch, ceil(time / factor), channels * factor).

    Raises:
        ValueError: an input known to have no samples; factor below 1.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", superpixel layer.

    >>> import numpy as np
    >>> x = np.arange(1, 6).reshape(1, 5, 1)
    >>> print(np.array(Superpixel1D(2)(x))[0].astype(int).tolist())
    [[1, 2], [3, 4], [5, 0]]
    """

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = integer("factor", factor)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape):
        not_empty(self, input_shape)

    def call(self, inputs):
        batch, time, channels = ops.shape(inputs)
        length = -(-time // self.factor)
        x = inputs
        if inputs.shape[1] is None or inputs.shape[1] % self.factor:
            x = ops.pad(x, ((0, 0), (0, self.factor - 1), (0, 0)))[:, : length * self.factor]
        # (batch, time * phase, channels) -> (batch, time, phase * channels)
        return ops.reshape(x, (batch, length, self.factor * channels))

    def compute_output_shape(self, input_shape):
        batch, time, channels = input_shape
        time = None if time is None else -(-time // self.factor)
        return batch, time, channels * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
