"""The level of a signal: the mean and the standard deviation of its mono mix."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tonezoo.audio.streaming import check_finite

# What a model expects of a mixture: mean 0 and standard deviation 1, or the samples of the file.
MIXTURE_LEVELS = ("standard", "file")
# Below that a deviation is the rounding of sums.
LEAST_STD = 1e-7


@dataclass(frozen=True)
class Level:
    """Mean and standard deviation by which a signal is normalised and brought back.

    Attributes:
        mean: of the mono mix.
        std: of the mono mix; where the channels cancel each other out, that of all of them; 0 for
            silence, which stays silent both ways.

    Example:

    >>> level = Level(mean=0.5, std=0.25)
    >>> level.normalise(np.array([0.0, 1.0])), level.restore(np.array([-2.0, 2.0]))
    (array([-2.,  2.]), array([0., 1.]))
    """

    mean: float
    std: float

    def normalise(self, samples: np.ndarray) -> np.ndarray:
        """Returns float samples brought to mean 0 and standard deviation 1 by this level."""
        return (samples - np.float32(self.mean)) / np.float32(self.std or 1)

    def restore(self, samples: np.ndarray, sources: int = 1) -> np.ndarray:
        """Returns normalised samples brought back to this level.

        Each of several sources gets an equal part of the mean, so that those that sum to the
        normalised signal sum to the signal.
        """
        return np.float32(self.std) * samples + np.float32(self.mean / sources)


def measure(blocks: Iterable[np.ndarray]) -> tuple[int, int, Level]:
    """Returns samples, channels and level of a signal that comes in blocks (time, channels).

    Raises:
        ValueError: no samples, or NaN or infinite ones.

    Example:

    >>> measure([np.array([[0.0, 0.5], [0.5, 1.0]])])
    (2, 2, Level(mean=0.5, std=0.25))
    """
    length, channels, total, squares, all_squares = 0, 0, 0.0, 0.0, 0.0
    for block in check_finite(blocks):
        mono = block.mean(axis=1, dtype="float64")
        length, channels = length + len(mono), block.shape[1]
        total += float(mono.sum())
        squares += float((mono**2).sum())
        all_squares += float((block.astype("float64") ** 2).sum()) / channels
    if not length:
        raise ValueError("The signal has 0 samples. Give at least one.")
    mean = total / length
    deviations = (math.sqrt(max(s / length - mean**2, 0.0)) for s in (squares, all_squares))
    std = next((deviation for deviation in deviations if deviation > LEAST_STD), 0.0)
    return length, channels, Level(mean, std)


def batch_levels(waveform):
    """Returns mean and standard deviation of each signal of a batch, in any backend's graph.

    Args:
        waveform: tensor (batch, time, channels).

    Returns:
        Two tensors (batch, 1, 1): what `measure` gives for each of the signals.

    Example:

    >>> mean, std = batch_levels(np.array([[[0.0, 0.5], [0.5, 1.0]]], "float32"))
    >>> float(mean[0, 0, 0]), float(std[0, 0, 0])
    (0.5, 0.25)
    """
    from keras import ops

    mono = ops.mean(waveform, axis=2, keepdims=True)
    mean = ops.mean(mono, axis=1, keepdims=True)
    of_mono, of_all = (
        ops.sqrt(ops.mean(ops.square(signal - mean), axis=(1, 2), keepdims=True))
        for signal in (mono, waveform)
    )
    std = ops.where(of_mono > LEAST_STD, of_mono, of_all)
    return mean, ops.where(std > LEAST_STD, std, ops.zeros_like(std))
