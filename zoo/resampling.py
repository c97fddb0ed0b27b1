"""Sample-rate changes on NumPy arrays: high-quality resampling and the paper's decimation."""

import numpy as np


def resample(samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Returns `samples` (time,) or (time, channels) at another sample rate, by soxr's HQ recipe.

    Example:

    >>> import numpy as np
    >>> resample(np.zeros((480, 2), "float32"), 48_000, 16_000).shape
    (160, 2)
    """
    import soxr

    return samples if from_hz == to_hz else soxr.resample(samples, from_hz, to_hz)


def decimate(samples: np.ndarray, ratio: int) -> np.ndarray:
    """Returns the low-rate signal from which the super-resolution models learn.

    An order-8 Chebyshev-I low-pass (0.05 dB, zero phase), then every `ratio`-th sample: low-rate
    sample n sits on high-rate sample n * ratio. The result has ceil(time / ratio) samples.

    Args:
        samples: high-rate signal, (time,) or (time, channels), at least 28 samples.
        ratio: decimation factor, 2 or more.

    Raises:
        ValueError: the signal is too short for the filter to be run in both directions.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 4.

    Example:

    >>> import numpy as np
    >>> decimate(np.ones(100, "float32"), 4).shape
    (25,)
    """
    from scipy import signal

    shortest = 28
    if len(samples) < shortest:
        raise ValueError(
            f"A signal of {len(samples)} samples is too short to be decimated: "
            f"at least {shortest} are needed."
        )
    return signal.decimate(samples.astype("float64"), ratio, axis=0).astype("float32")


def upsample_spline(samples: np.ndarray, ratio: int) -> np.ndarray:
    """Returns the cubic spline through a signal (time,), (time * ratio,): the models' baseline.

    It is the spline that the super-resolution models correct, computed by the same layer.

    Example:

    >>> import numpy as np
    >>> upsample_spline(np.ones(3, "float32"), 2).round(3).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    from tonezoo.layers import Interpolate1D

    return np.asarray(Interpolate1D(ratio, "cubic")(samples[None, :, None]))[0, :, 0]
