"""What a signal and a sample rate have to be, checked before anything is computed from them."""

import numbers

import numpy as np

# A damaged header may state 1 Hz, at which a megabyte lasts for days.
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 100, 10_000_000
# As many as libsndfile reads and writes.
MOST_CHANNELS = 1024


def check_rate_hz(rate_hz: float, name: str = "The sample rate") -> None:
    """Checks that a sample rate is a number of Hz at which audio can be.

    Args:
        rate_hz: the rate.
        name: what the message calls it.

    Raises:
        ValueError: not a number, or not within 100 Hz to 10 MHz.

    Example:

    >>> check_rate_hz(44_100)
    >>> check_rate_hz(1e-6)
    Traceback (most recent call last):
    ValueError: The sample rate is 1e-06, but has to be a number of Hz from 100 to 10,000,000.
    """
    is_number = isinstance(rate_hz, numbers.Real) and not isinstance(rate_hz, bool)
    if not is_number or not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise ValueError(
            f"{name} is {rate_hz!r}, but has to be a number of Hz from {LOWEST_RATE_HZ} to "
            f"{HIGHEST_RATE_HZ:,}."
        )


def check_signal(samples: np.ndarray) -> None:
    """Checks the kind and shape of a signal; not its values, and not that it has any.

    Args:
        samples: (time,) or (time, channels).

    Raises:
        ValueError: not floating-point numbers of such a shape, more than 1,024 channels, or more
            channels than samples, as in arrays of (channels, time).

    Example:

    >>> check_signal(np.zeros((8000, 2)))
    >>> check_signal(np.zeros((2, 8000)))
    Traceback (most recent call last):
    ValueError: Samples of shape (2, 8000) would be 8000 channels of 2 samples. The axes are...
    """
    has_channels = samples.ndim == 2 and samples.shape[1] > 0
    if not (samples.ndim == 1 or has_channels) or not np.issubdtype(samples.dtype, np.floating):
        raise ValueError(
            f"Samples are {samples.dtype} of shape {samples.shape}. Give floating-point numbers, "
            f"full scale 1, of shape (time,) or (time, channels)."
        )
    if has_channels and len(samples) and samples.shape[1] > min(len(samples), MOST_CHANNELS):
        raise ValueError(
            f"Samples of shape {samples.shape} would be {samples.shape[1]} channels of "
            f"{len(samples)} samples. The axes are (time, channels): give samples.T."
        )
