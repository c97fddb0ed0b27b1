"""Random shifts in time that hide the phase of upsampling artifacts from a discriminator."""

import keras
from keras import ops

from tonezoo.arguments import integer, one_of
from tonezoo.layers.padding import reflected
from tonezoo.layers.signal_layer import SignalLayer


@keras.saving.register_keras_serializable(package="tonezoo")
class PhaseShuffle1D(SignalLayer):
    """Shifts its input in time by a random whole number of samples, in training only.

    y[t] = x[t - phi], phi uniform on -radius ... radius, samples beyond the ends by reflection;
    the length is kept. Without `training` it is the identity. A mask is not shifted.

    Args:
        radius: integer >= 0, largest shift in samples.
        per: "batch" (one shift for the whole batch, as in the authors' code), "example" (one for
            each) or "channel" (one for each channel of each example).
        seed: integer or None, seed of the shifts.

    Input shape: (batch, time, channels). Output shape: the same.

    Raises:
        ValueError: a negative radius; an unknown `per`; an input known to have no samples.

    Source: Donahue et al., "Adversarial audio synthesis" (WaveGAN), 2019, "Phase shuffle".

    >>> import numpy as np
    >>> x = np.arange(5.0).reshape(1, 5, 1)
    >>> print(np.ravel(PhaseShuffle1D(2)(x)))
    [0. 1. 2. 3. 4.]
    """

    def __init__(self, radius: int = 2, per: str = "batch", seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.radius = integer("radius", radius, least=0)
        self.per = one_of("per", per, ("batch", "example", "channel"))
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True  # It has no weights.

    def call(self, inputs, training=False):
        if not training or self.radius == 0:
            return inputs
        batch, time, channels = ops.shape(inputs)
        shifts = {"batch": (1, 1, 1), "example": (batch, 1, 1), "channel": (batch, 1, channels)}
        phi = keras.random.randint(
            shifts[self.per], -self.radius, self.radius + 1, seed=self.seed_generator
        )
        source = reflected(ops.arange(time, dtype="int32")[None, :, None] - phi, time)
        if self.per == "batch":
            return ops.take(inputs, source[0, :, 0], axis=1)
        source = ops.broadcast_to(source, (batch, time, channels))
        return ops.take_along_axis(inputs, source, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "radius": self.radius,
            "per": self.per,
            "seed": self.seed,
        }
