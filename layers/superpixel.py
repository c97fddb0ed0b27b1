"""Inverse of the periodic shuffle: time to channels."""

import keras

from tonezoo.arguments import integer
from tonezoo.layers.masks import mask_per_block
from tonezoo.layers.shuffle import time_to_channels
from tonezoo.layers.signal_layer import SignalLayer


@keras.saving.register_keras_serializable(package="tonezoo")
class Superpixel1D(SignalLayer):
    """Turns consecutive samples into groups of channels: the inverse of Subpixel1D.

    y[n, p * C + c] = x[n * factor + p, c]. A time axis that is no multiple of the factor is
    padded with zeros at its end: ceil(T / factor) samples come out. With a mask, an output sample
    is valid if any sample in it is.

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

    def __init__(self, factor: int, **kwargs):
        super().__init__(**kwargs)
        self.factor = integer("factor", factor)
        self.built = True  # It has no weights.

    def call(self, inputs):
        return time_to_channels(inputs, self.factor)

    def compute_mask(self, inputs, previous_mask):
        return mask_per_block(previous_mask, self.factor)

    def compute_output_shape(self, input_shape):
        batch, time, channels = input_shape
        time = None if time is None else -(-time // self.factor)
        return batch, time, channels * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}
