"""Initializer that makes a transposed convolution start as nearest-neighbour upsampling."""

import keras
from keras import initializers, ops

from tonezoo.layers.checks import integer


@keras.saving.register_keras_serializable(package="tonezoo")
class TransposedICNR(initializers.Initializer):
    """Initialises the phases of a transposed convolution alike: each tap is repeated.

    w[j * strides + p] = w0[j] for p = 0 ... strides - 1, with w0 drawn by the base initializer for
    m taps: for kernels (m * strides, filters, input channels). The counterpart of ICNR: at
    initialisation the layer is a convolution with m taps followed by nearest-neighbour
    upsampling.

    Args:
        initializer: base initializer: a name, a configuration or an instance.
        strides: integer >= 1, upsampling factor; it divides the kernel length.

    Raises:
        ValueError: the kernel length is no multiple of the strides; strides below 1.

    Source: the transposed counterpart of Aitken et al., 2017.

    >>> import numpy as np
    >>> w = np.array(TransposedICNR("normal", 2)((4, 1, 1))).ravel()
    >>> print(bool(w[0] == w[1]), bool(w[2] == w[3]), bool(w[1] == w[2]))
    True True False
    """

    def __init__(self, initializer="glorot_uniform", strides=2):
        self.initializer = initializers.get(initializer)
        self.strides = integer("strides", strides)

    def __call__(self, shape, dtype=None):
        length, *rest = shape
        if length % self.strides:
            raise ValueError(
                f"TransposedICNR(strides={self.strides}) needs a kernel length that is a multiple "
                f"of its strides. Received: shape={tuple(shape)}"
            )
        base = self.initializer((length // self.strides, *rest), dtype=dtype)
        return ops.repeat(base, self.strides, axis=0)

    def get_config(self):
        return {"initializer": initializers.serialize(self.initializer), "strides": self.strides}
