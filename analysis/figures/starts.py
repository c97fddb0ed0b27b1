"""Layers as PyTorch starts them, and signals after each layer of a stack."""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

SEED = 0


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Makes the initializers that are created in the block draw the same values each time.

    Keras takes their seeds from Python's generator, whose state is put back.

    >>> import keras
    >>> drawn = []
    >>> for _ in range(2):
    ...     with seeded(0):
    ...         drawn.append(float(keras.initializers.RandomUniform()(())))
    >>> drawn[0] == drawn[1]
    True
    """
    # What is imported for the first time in the block would draw from the generator too.
    import tonezoo.layers  # noqa: F401

    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def pytorch_start(fan_in: int) -> dict[str, Any]:
    """Returns initializers of kernel and bias, uniform within 1 / sqrt(fan_in), biases too.

    Args:
        fan_in: inputs that an output sums; of a transposed convolution, as PyTorch counts, its
            taps times its output channels.
    """
    from tonezoo.layers.initializers import bounded_bias, bounded_kernel

    return {
        "kernel_initializer": bounded_kernel(fan_in),
        "bias_initializer": bounded_bias(fan_in),
    }


def after_each(layers: Sequence[Callable], samples: np.ndarray) -> list[np.ndarray]:
    """Returns the signal (time,) after each layer of a stack, of the first channel."""
    x = np.asarray(samples, "float32")[None, :, None]
    signals = []
    for layer in layers:
        x = layer(x)
        signals.append(np.asarray(x)[0, :, 0])
    return signals


def noise(samples: int, seed: int) -> np.ndarray:
    """Returns uniform white noise within +-1, float32 (time,)."""
    return np.random.default_rng(seed).uniform(-1, 1, samples).astype("float32")
