"""Augmentation of training patches: speed, equaliser, gain, and the low-pass before decimation."""

import math
from dataclasses import dataclass

import numpy as np

from tonezoo.recipes.data.telephone import telephone

# A patch is cut out of this much more on each side, in which the filters' borders stay.
MARGIN_SAMPLES = 1024
EQUALISER_KNOTS = 7


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of a high-rate patch, and of the way in which its low rate is made from it.

    Attributes:
        gain_db: the level changes by up to this much, up or down.
        max_speedup: the patch is played up to this much faster, 0.1 being 10 %. Never slower, which
            would leave the top of the band empty.
        equaliser_db: standard deviation of the gain at each of 7 frequencies, spread evenly over
            the band and joined by straight lines.
        random_low_pass_share: share of the patches whose low-pass is a random one (Butterworth,
            Chebyshev, windowed sinc, brick wall) in place of that of
            `tonezoo.audio.resampling.decimate`.
        telephone_share: share of the patches whose low rate comes out of a telephone, see
            `tonezoo.recipes.data.telephone`. Their high rate stays as it is.

    Raises:
        ValueError: a negative number, or a share above 1.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> augmentation = Augmentation(gain_db=6.0, max_speedup=0.1)
    >>> noise = rng.standard_normal(augmentation.source_samples(4096))
    >>> low, high = augmentation.pair(noise, segment_samples=4096, ratio=4, rng=rng)
    >>> low.shape, high.shape
    ((1024,), (4096,))
    """

    gain_db: float = 0.0
    max_speedup: float = 0.0
    equaliser_db: float = 0.0
    random_low_pass_share: float = 0.0
    telephone_share: float = 0.0

    def __post_init__(self):
        for name, value in vars(self).items():
            if not value >= 0:
                raise ValueError(f"augmentation: {name} must be at least 0, but is {value}.")
            if name.endswith("_share") and value > 1:
                raise ValueError(f"augmentation: {name} is a share, at most 1, but is {value}.")

    def __bool__(self) -> bool:
        """False if nothing is changed."""
        return any(vars(self).values())

    def source_samples(self, segment_samples: int) -> int:
        """Returns how many samples `pair` needs for a patch of `segment_samples`."""
        return math.ceil((segment_samples + 2 * MARGIN_SAMPLES) * (1 + self.max_speedup))

    def pair(
        self, samples: np.ndarray, *, segment_samples: int, ratio: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns aligned patches (segment_samples / ratio,) and (segment_samples,), float32.

        Args:
            samples: `source_samples(segment_samples)` samples at the high rate.
            segment_samples: an even multiple of the ratio.
            ratio: high rate over low rate; at 1 both patches are the same.
            rng: what is random.
        """
        length = segment_samples + 2 * MARGIN_SAMPLES
        played = 2 * round(length * (1 + rng.uniform(0, self.max_speedup)) / 2)
        # What is played faster is cut off at the Nyquist frequency exactly: the gentle edge of a
        # resampler would teach the model to leave the top of the band empty.
        spectrum = np.fft.rfft(faded(samples[:played]))[: length // 2 + 1] * (length / played)
        frequencies = np.linspace(0, 1, len(spectrum))  # 1 is the high rate's Nyquist frequency
        spectrum *= 10 ** (self._gain_db(frequencies, rng) / 20)
        high = np.fft.irfft(spectrum, length)[MARGIN_SAMPLES:-MARGIN_SAMPLES].astype("float32")
        if ratio == 1:
            return high, high
        low_pass = random_low_pass if rng.random() < self.random_low_pass_share else usual_low_pass
        low = np.fft.irfft(spectrum * low_pass(frequencies, ratio, rng), length)
        margin, first = divmod(MARGIN_SAMPLES, ratio)
        low = low[first::ratio]
        if rng.random() < self.telephone_share:
            low = telephone(low, rng)
        low = low[margin : margin + segment_samples // ratio]
        return low.astype("float32"), high

    def _gain_db(self, frequencies, rng):
        knots = rng.normal(0, self.equaliser_db, EQUALISER_KNOTS)
        equaliser_db = np.interp(frequencies, np.linspace(0, 1, EQUALISER_KNOTS), knots)
        return rng.uniform(-self.gain_db, self.gain_db) + equaliser_db


NONE = Augmentation()


def faded(samples):
    """Returns samples that rise from 0 and fall to 0: a Fourier transform joins the two ends."""
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(MARGIN_SAMPLES // 2) / (MARGIN_SAMPLES // 2))
    window = np.ones(len(samples))
    window[: len(ramp)] = ramp
    window[-len(ramp) :] = ramp[::-1]
    return samples * window


def usual_low_pass(frequencies, ratio, rng):
    """Returns the response of `tonezoo.audio.resampling.decimate`, which filters forth and back."""
    return chebyshev(frequencies, 8, 0.05, 0.8 / ratio) ** 2


def random_low_pass(frequencies, ratio, rng):
    """Returns the response of a filter such as recordings at a low rate have been through.

    One of four kinds, equally likely: Butterworth of order 3 to 8, once or forth and back;
    Chebyshev-I of order 6 to 12; a raised-cosine edge below the low rate's Nyquist frequency, as
    windowed sincs have (resamplers); a brick wall.
    """
    kind = rng.integers(4)
    if kind == 0:
        order, passes = rng.integers(3, 9), rng.integers(1, 3)
        cutoff = rng.uniform(0.75, 1.0) / ratio
        return (1 + (frequencies / cutoff) ** (2 * order)) ** (-passes / 2)
    if kind == 1:
        order, ripple_db = rng.integers(6, 13), rng.uniform(0.05, 0.5)
        return chebyshev(frequencies, order, ripple_db, rng.uniform(0.8, 0.97) / ratio)
    edge = rng.uniform(0.8, 0.98) if kind == 2 else 0.998
    fall = np.clip((frequencies * ratio - edge) / (1 - edge), 0, 1)
    return 0.5 + 0.5 * np.cos(np.pi * fall)


def chebyshev(frequencies, order, ripple_db, cutoff):
    import scipy.signal

    sections = scipy.signal.cheby1(order, ripple_db, cutoff, output="sos")
    return np.abs(scipy.signal.sosfreqz(sections, np.pi * frequencies)[1])
