"""A model whose output is known: it repeats every sample four times."""

import numpy as np

from tonezoo.tasks.super_resolution.engine import SuperResolver

REPEAT = SuperResolver(
    lambda x: np.repeat(x, 4, axis=1),
    ratio=4,
    sample_rate_hz=16_000,
    grid_samples=4,
    context_samples=0,
    name="repeat",
)
