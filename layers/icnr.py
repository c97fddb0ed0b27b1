"""Initializer that makes a subpixel convolution start as nearest-neighbour upsampling."""

import keras
from keras import initializers, ops

from tonezoo.layers.checks import integer


@keras.saving.register_keras_serializable(package="tonezoo")
class ICNR(initializers.Initializer):
    """Initialises the phases of a subpixel convolution alike ("convolution NN resize").

    W[..., p * F + f] = W0[..., f] for every phase p, with W0 drawn by the base initializer for F
    filters. At initialisation the subpixel convolution then is a convolution followed by
    nearest-neighbour upsampling, so that a constant input gives a constant output, without tones.

    Args:
        initializer: base initializer: a name, a configuration or an instance.
        factor: integer >= 1, upsampling factor; it divides the last axis of the shape.

    Raises:
        ValueError: the last axis is no multiple of the factor; factor below 1.

    Source: Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017.

    >>> import numpy as np
    >>> w = np.array(ICNR("orthogonal", 2)((9, 3, 8)))
    >>> print(w.shape, bool(np.all(w[..., :4] == w[..., 4:])))
    (9, 3, 8) True
    """

    def __init__(self, initializer="glorot_uniform", factor=2):
        self.initializer = initializers.get(initializer)
        self.factor = integer("factor", factor)

    def __call__(self, shape, dtype=None):
        *rest, filters = shape
        if filters % self.factor:
            raise ValueError(
                f"ICNR(factor={self.factor}) needs a last axis that is a multiple of its factor. "
                f"Received: shape={tuple(shape)}"
            )
        base = self.initializer((*rest, filters // self.factor), dtype=dtype)
        return ops.tile(base, (1,) * len(rest) + (self.factor,))

    def get_config(self):
        return {"initializer": initializers.serialize(self.initializer), "factor": self.factor}
