"""Initialisation as PyTorch's layers have it, and Demucs's rescaling of it."""

import math

import keras
from keras import initializers, ops


@keras.saving.register_keras_serializable(package="tonezoo")
class Rescaled(initializers.Initializer):
    """Divides what an initializer draws by sqrt(std / reference), std that of the draw.

    Args:
        initializer: a Keras initializer.
        reference: standard deviation towards which weights are moved, half of the way in dB.

    Source: Défossez et al. 2019, "Music Source Separation in the Waveform Domain", section 4.

    Example:

    >>> import numpy as np
    >>> weights = Rescaled(initializers.RandomNormal(stddev=0.4, seed=0), 0.1)((100, 100))
    >>> round(float(np.std(weights)), 2)  # sqrt(0.4 * 0.1)
    0.2
    """

    def __init__(self, initializer, reference: float):
        self.initializer = initializers.get(initializer)
        self.reference = reference

    def __call__(self, shape, dtype=None):
        weights = self.initializer(shape, dtype=dtype)
        return weights / ops.sqrt(ops.std(weights) / self.reference)

    def get_config(self):
        return {
            "initializer": initializers.serialize(self.initializer),
            "reference": self.reference,
        }


def bounded_kernel(fan_in: int, reference: float | None = None):
    """Returns an initializer of weights: uniform, bounded by 1 / sqrt(fan_in), then rescaled.

    A new one for every use: an instance draws the same values each time.
    """
    bound = 1 / math.sqrt(fan_in)
    uniform = initializers.RandomUniform(-bound, bound)
    return uniform if reference is None else Rescaled(uniform, reference)


def bounded_bias(fan_in: int, reference: float | None = None):
    """Returns the initializer of the biases beside weights of `bounded_kernel`."""
    bound = 1 / math.sqrt(fan_in)
    if reference is not None:
        # A uniform distribution's standard deviation is its bound over sqrt(3).
        bound /= math.sqrt(bound / math.sqrt(3) / reference)
    return initializers.RandomUniform(-bound, bound)
