"""The aliasing-to-signal ratio of an activation, a layer or a whole model."""

from collections.abc import Callable

import numpy as np

# A prime: no harmonic of the sine that is folded back comes to lie on another.
PERIOD_SAMPLES = 4093


def aliasing_to_signal_db(
    process: Callable[[np.ndarray], np.ndarray],
    *,
    frequency: float,
    level: float = 1.0,
    factor: int = 1,
    period_samples: int = PERIOD_SAMPLES,
) -> float:
    """Returns what a sine becomes beside itself and its harmonics, re these, in dB.

    With E the energy of the output and H that at the multiples of the sine's frequency from 0 Hz up
    to half the output's rate, it is 10 log10((E - H) / H): harmonics that are folded back, images,
    and lines that are there anyway all count as aliasing. It is measured on one period of
    `period_samples` out of three, the middle one, with nearly the frequency that is asked for: a
    whole number of cycles fits the period.

    Args:
        process: function from samples (time,) to (time * factor,), or to (time * factor,
            channels), whose energies are added.
        frequency: of the sine, in cycles per input sample, between 0 and 0.5.
        level: its amplitude.
        factor: output samples per input sample.
        period_samples: a prime of some thousands.

    Raises:
        ValueError: a frequency that does not fit, an output of another length or with samples that
            are not finite, or silence.

    >>> def square(x):
    ...     return x**2  # 0 and twice the frequency
    >>> bool(aliasing_to_signal_db(square, frequency=0.2) < -100)
    True
    >>> round(aliasing_to_signal_db(square, frequency=0.3))  # 1/4 at 0 Hz, 1/8 at 0.6 cycles
    -3
    """
    cycles = round(frequency * period_samples)
    if not 0 < frequency < 0.5 or not 0 < cycles < period_samples / 2:
        raise ValueError(
            f"frequency must lie between 0 and 0.5 cycles per sample. Received: {frequency}"
        )
    phase = 2 * np.pi * cycles * np.arange(3 * period_samples) / period_samples
    output = np.asarray(process(level * np.sin(phase)), "float64")
    expected = 3 * period_samples * factor
    if output.ndim not in (1, 2) or len(output) != expected:
        raise ValueError(
            f"The output must have {factor} samples for each of {3 * period_samples}, and one axis "
            f"more at most. Received: shape {output.shape}"
        )
    middle = output[expected // 3 : 2 * expected // 3].reshape(expected // 3, -1)
    if not np.isfinite(middle).all():
        raise ValueError("The output has samples that are NaN or infinite.")
    energy = np.sum(np.abs(np.fft.rfft(middle, axis=0)) ** 2, axis=1)
    # All but 0 Hz, and half the rate where there is such a bin, stand for two lines.
    energy[1 : (len(middle) + 1) // 2] *= 2
    signal = energy[::cycles].sum()
    if signal == 0:
        raise ValueError("The output has nothing at the sine's frequency or its harmonics.")
    rest = np.delete(energy, np.arange(0, len(energy), cycles)).sum()
    return float(10 * np.log10(max(rest / signal, 1e-30)))
