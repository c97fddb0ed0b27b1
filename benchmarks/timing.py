"""Timing several functions in turn, as the benchmarks do."""

import statistics
import time
from collections.abc import Callable


def device_name() -> str:
    """Returns what the backend of Keras computes on."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    import tensorflow as tf

    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def in_turn(steps: dict[str, Callable], rounds: int) -> dict[str, list[float]]:
    """Returns name -> seconds of each round; every round runs each step once, in turn.

    A round that is not timed comes first.
    """
    for step in steps.values():
        step()
    times = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - started)
    return times


def median_ratio(times: list[float], reference: list[float]) -> float:
    """Returns the median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(times, reference, strict=True))
