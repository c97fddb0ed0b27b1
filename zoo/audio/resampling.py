"""Sample-rate changes on NumPy arrays: high-quality resampling and the paper's decimation."""

import math

import numpy as np

from tonezoo.audio.checks import check_rate_hz

# 44.1 to 16 kHz takes 441, 11.025 to 48 kHz 640.
LARGEST_SHARP_FACTOR = 1000


def resample(samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Returns `samples` (time,) or (time, channels) at another sample rate, by soxr's HQ recipe.

    Of a signal shorter than half a sample at the new rate nothing is left.

    Raises:
        ValueError: a rate is none.

    Example:

    >>> import numpy as np
    >>> resample(np.zeros((480, 2), "float32"), 48_000, 16_000).shape
    (160, 2)
    """
    check_rate_hz(from_hz, "from_hz")
    check_rate_hz(to_hz, "to_hz")
    return samples if from_hz == to_hz else _soxr(samples, from_hz, to_hz)


def _soxr(samples, from_hz, to_hz):
    import soxr

    return soxr.resample(samples, from_hz, to_hz)


def resample_sharply(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Returns `samples` (time,) at another rate, its band full up to 0.99 of the Nyquist frequency.

    For training targets: from 0.95 of it soxr's HQ recipe falls by 100 dB, and a model learns to
    leave that part of the band empty. Rates in no ratio of small numbers, 44,101 to 16,000 Hz for
    instance, take that recipe all the same: the filter would have millions of taps.

    Args:
        samples: signal, (time,).
        from_hz: its rate, an integer.
        to_hz: the new rate, an integer.

    Raises:
        ValueError: a rate is none.

    Example:

    >>> import numpy as np
    >>> resample_sharply(np.zeros(44_100, "float32"), 44_100, 16_000).shape
    (16000,)
    """
    from scipy import signal

    check_rate_hz(from_hz, "from_hz")
    check_rate_hz(to_hz, "to_hz")
    if from_hz == to_hz:
        return samples
    divisor = math.gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    if max(up, down) > LARGEST_SHARP_FACTOR:
        return resample(samples, from_hz, to_hz)
    # 80 dB over a transition of 1 %, in taps at the common rate of up * from_hz.
    taps = 2 * round(500 * max(up, down)) + 1
    low_pass = signal.firwin(taps, 0.995 / max(up, down), window=("kaiser", 7.86))
    return signal.resample_poly(samples, up, down, window=low_pass).astype(samples.dtype)


LOW_PASSES = ("chebyshev", "butterworth", "fft", "soxr")


def decimate(samples: np.ndarray, ratio: int, low_pass: str = "chebyshev") -> np.ndarray:
    """Returns the low-rate signal from which the super-resolution models learn.

    A low-pass without delay, then every `ratio`-th sample: low-rate sample n sits on high-rate
    sample n * ratio. The result has ceil(time / ratio) samples.

    Args:
        samples: high-rate signal, (time,) or (time, channels), at least 28 samples.
        ratio: decimation factor; 1 leaves the signal as it is.
        low_pass: "chebyshev", the paper's: order 8, 0.05 dB, forth and back, from 0.8 of the low
            rate's Nyquist frequency. Others are for the question how a model takes recordings that
            were made otherwise: "butterworth", of order 4, forth and back, from the same frequency;
            "fft", a brick wall at the Nyquist frequency; "soxr", the HQ resampler.

    Raises:
        ValueError: an unknown low-pass, or a signal too short to be filtered in both directions.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 4.

    Example:

    >>> import numpy as np
    >>> decimate(np.ones(100, "float32"), 4).shape
    (25,)
    """
    from scipy import signal

    check_low_pass(low_pass)
    shortest = 28
    if len(samples) < shortest:
        raise ValueError(
            f"A signal of {len(samples)} samples is too short to be decimated: "
            f"at least {shortest} are needed."
        )
    if ratio == 1:
        return samples
    samples = samples.astype("float64")
    if low_pass == "chebyshev":
        low = signal.decimate(samples, ratio, axis=0)
    elif low_pass == "butterworth":
        sections = signal.butter(4, 0.8 / ratio, output="sos")
        low = signal.sosfiltfilt(sections, samples, axis=0)[::ratio]
    elif low_pass == "fft":
        spectrum = np.fft.rfft(samples, axis=0)
        spectrum[np.linspace(0, ratio, len(spectrum)) >= 1] = 0
        low = np.fft.irfft(spectrum, len(samples), axis=0)[::ratio]
    else:
        rest = [(0, -len(samples) % ratio)] + [(0, 0)] * (samples.ndim - 1)
        low = _soxr(np.pad(samples, rest), ratio, 1)
    return low.astype("float32")


def check_low_pass(low_pass: str) -> None:
    """Checks the name of a low-pass.

    Raises:
        ValueError: `decimate` has no such low-pass.
    """
    if low_pass not in LOW_PASSES:
        raise ValueError(f"low_pass must be one of {', '.join(LOW_PASSES)}, but is {low_pass!r}.")


def upsample_spline(samples: np.ndarray, ratio: int) -> np.ndarray:
    """Returns the cubic spline through a signal (time,), (time * ratio,): the models' baseline.

    It is the spline that the super-resolution models correct, computed by the same layer.

    Example:

    >>> import numpy as np
    >>> upsample_spline(np.ones(3, "float32"), 2).round(3).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    from tonezoo.layers import Interpolate1D

    # float32 whatever the user's global floatx is: the baseline's figures do not depend on it.
    interpolate = Interpolate1D(ratio, "cubic", dtype="float32")
    return np.asarray(interpolate(samples[None, :, None]))[0, :, 0]
