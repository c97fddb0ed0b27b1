"""Losses of source separation: functions of targets and estimates (batch, time, source, ...)."""

import math

import keras
from keras import ops

# Of the mixture, below which errors stop to count: 30 dB.
THRESHOLD = 1e-3
# So that silence has a logarithm.
LEAST_ENERGY = 1e-8


@keras.saving.register_keras_serializable(package="tonezoo")
def negative_snr(target, estimate):
    """Returns the negative signal-to-noise ratio of each source of each example, in dB.

    10 log10(sum (target - estimate)^2 + t) - 10 log10(sum target^2 + t), t a thousandth of the
    energies of all sources of the example. A quiet source counts as much as a loud one, as it does
    in the mean SDR that separators are compared by, and a silent one has a finite loss.

    Args:
        target: (batch, time, source, channel) of waveforms, or (batch, frames, source, channel,
            bin) of magnitudes.
        estimate: the same shape.

    Returns:
        (batch, source).

    Source: Wisdom et al. 2020, "Unsupervised sound separation using mixture invariant training",
    section 3.1, with the threshold relative to the mixture for silent sources as well.

    Example:

    >>> import numpy as np
    >>> target = np.ones((1, 8, 2, 1))
    >>> estimate = target * np.array([0.9, 0.0])[:, None]
    >>> negative_snr(target, estimate).numpy().round(2)
    array([[-19.2,   0. ]])
    """
    axes = (1, *range(3, len(target.shape)))
    energy = ops.sum(ops.square(target), axis=axes)
    error = ops.sum(ops.square(target - estimate), axis=axes)
    floor = THRESHOLD * ops.sum(energy, axis=1, keepdims=True) + LEAST_ENERGY
    return (10 / math.log(10)) * (ops.log(error + floor) - ops.log(energy + floor))
