"""Activations at a higher rate, whose harmonics beyond the band are filtered off."""

import keras
import numpy as np
from keras import ops

from tonezoo.arguments import integer
from tonezoo.layers.decimate import Decimate1D
from tonezoo.layers.interpolate import Interpolate1D
from tonezoo.layers.signal_layer import SignalLayer


@keras.saving.register_keras_serializable(package="tonezoo")
class FilteredActivation1D(SignalLayer):
    """Applies an activation at `factor` times the rate, between an interpolation and a low-pass.

    At its own rate an activation folds the harmonics that it makes back into the band. Here the
    signal goes through `Interpolate1D(factor, "kaiser")`, the activation and `Decimate1D(factor)`;
    its ends are held. The filter is short, 12 taps at a factor of 2: it softens the top of the band
    and leaves some of what lies above it. A mask stays as it is.

    Args:
        activation: name or function, as of `keras.layers.Activation`, or a layer that keeps the
            shape of a signal, such as `SnakeBeta1D`.
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
        self.interpolate = Interpolate1D(self.factor, "kaiser", dtype=self.dtype_policy)
        self.decimate = Decimate1D(self.factor, dtype=self.dtype_policy)
        self.built = not isinstance(self.activation, keras.layers.Layer)

    @property
    def context(self) -> tuple[int, int]:
        before, after = getattr(self.activation, "context", (0, 0))
        left, right = self.decimate.context
        taps, offset = self.interpolate.taps, self.interpolate.offset
        reached = [
            place // self.factor + offset + j
            for place in range(-left - before, right + after + 1)
            for j in np.flatnonzero(taps[place % self.factor])
        ]
        return -int(min(reached)), int(max(reached))

    def build(self, input_shape):
        if isinstance(self.activation, keras.layers.Layer):
            self.fix_channels(input_shape)
            if not self.activation.built:  # One that comes out of a saved file is.
                self.activation.build((input_shape[0], None, input_shape[2]))

    def call(self, inputs):
        x = ops.cast(inputs, self.compute_dtype)
        return self.decimate(self.activation(self.interpolate(x)))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "factor": self.factor,
        }
