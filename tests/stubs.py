"""Engines without a network, whose outputs are known."""

from collections.abc import Callable

import numpy as np

from tonezoo.tasks.separation.engine import Separator
from tonezoo.tasks.super_resolution.engine import SuperResolver


def repeat(ratio: int) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a call that repeats every sample."""
    return lambda low: np.repeat(low, ratio, axis=1)


def shares(*factors: float) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a call that gives every source its share of the mixture."""
    return lambda x: x[:, :, None] * np.array(factors, "float32")[:, None]


def super_resolver(call: Callable | None = None, ratio: int = 4, **options) -> SuperResolver:
    """Returns an engine to 16 kHz around a call, `repeat` unless another is given.

    Args:
        options: of `SuperResolver`; without them it looks at nothing around a sample.
    """
    facts = {"sample_rate_hz": 16_000, "grid_samples": ratio, "context_samples": 0, "name": "stub"}
    return SuperResolver(call or repeat(ratio), ratio=ratio, **facts | options)


def separator(call: Callable, sources: tuple[str, ...] = ("a", "b"), **options) -> Separator:
    """Returns an engine of stereo at 8 kHz around a call.

    Args:
        options: of `Separator`; without them it works on segments of 400 samples, on a grid of 4
            with 8 around.
    """
    facts = {"channels": 2, "sample_rate_hz": 8000, "segment_samples": 400}
    facts |= {"grid_samples": 4, "context_samples": 8, "name": "stub"}
    return Separator(call, sources=sources, **facts | options)


REPEAT = super_resolver(name="repeat")
