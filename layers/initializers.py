"""Initializers: phases that start alike, and PyTorch's and Demucs's choice of the level."""

import math

import keras
from keras import initializers, ops

from tonezoo.arguments import integer


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

    def __init__(self, initializer="glorot_uniform", factor: int = 2):
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

    def __init__(self, initializer="glorot_uniform", strides: int = 2):
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


@keras.saving.register_keras_serializable(package="tonezoo")
class Rescaled(initializers.Initializer):
    """Divides what an initializer draws by sqrt(std / reference), std that of the draw.

    Args:
        initializer: base initializer: a name, a configuration or an instance.
        reference: standard deviation towards which weights are moved, half of the way in dB.

    Source: Défossez et al. 2019, "Music Source Separation in the Waveform Domain", section 4.

    >>> import numpy as np
    >>> weights = Rescaled(initializers.RandomNormal(stddev=0.4, seed=0), 0.1)((100, 100))
    >>> round(float(np.std(np.array(weights))), 2)  # sqrt(0.4 * 0.1)
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


def fresh(initializer):
    """Returns an initializer that draws values of its own.

    An instance without a seed draws the same values every time: weights of equal shapes would start
    alike.
    """
    return initializer.clone() if isinstance(initializer, initializers.Initializer) else initializer


def bounded_kernel(fan_in: int, reference: float | None = None) -> initializers.Initializer:
    """Returns an initializer of weights: uniform, bounded by 1 / sqrt(fan_in), then rescaled.

    A new one for every use: an instance draws the same values each time.
    """
    bound = 1 / math.sqrt(fan_in)
    uniform = initializers.RandomUniform(-bound, bound)
    return uniform if reference is None else Rescaled(uniform, reference)


def bounded_bias(fan_in: int, reference: float | None = None) -> initializers.Initializer:
    """Returns the initializer of the biases beside weights of `bounded_kernel`.

    An initializer of a bias does not see the weights that were drawn, so that the bias is divided
    by what is expected of them: sqrt(bound / sqrt(3) / reference), a uniform distribution's
    standard deviation being its bound over sqrt(3).
    """
    bound = 1 / math.sqrt(fan_in)
    if reference is not None:
        bound /= math.sqrt(bound / math.sqrt(3) / reference)
    return initializers.RandomUniform(-bound, bound)
