"""Combs of lines in audio alone: which strides a file bears the traces of."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tonezoo.analysis.artifacts.lines import (
    LEAST_SPACING_BINS,
    checked_signal,
    residual_over_floor,
    steady_spectrum_dbfs,
)

LONGEST_FFT = 65536
SHORTEST_FFT = 2048
FRAMES = 6
LARGEST_STRIDE_FACTOR = 7
# Bins beside a line that still belong to it.
LOBE_BINS = 4
# How far a comb stands out: of all combs that lie beside it, and of their spread.
LEAST_LEAD_DB = 3.0
LEAST_DEVIATIONS = 6.0


@dataclass(frozen=True)
class Comb:
    """Lines at the multiples of spacing_hz that no coarser comb has.

    Attributes:
        period: rate over spacing, in samples: a product of strides.
        spacing_hz: of the whole comb, rate / period.
        lines: how many lines are this comb's own.
        prominence_db: median over them of the level above the running median of 101 bins.
        level_dbfs: of the one that stands out most.
    """

    period: int
    spacing_hz: float
    lines: int
    prominence_db: float
    level_dbfs: float


def find_combs(samples: np.ndarray, sample_rate_hz: float) -> tuple[Comb, ...]:
    """Finds the combs of steady lines in a signal whose spacing divides its rate.

    For every period P without prime factors above 7, the median prominence of the lines k rate / P,
    k and P without a common divisor, is compared with that of the same lines moved by up to half of
    their distance, those of finer combs left out. A comb is found where it leads all of these by 3
    dB, and their spread by a factor of 6. So tones of the programme, which lie anywhere, hide a
    comb rather than make one.

    Args:
        samples: signal, (time,), full scale is 1.0.
        sample_rate_hz: its rate.

    Returns:
        The combs, the coarsest first.

    Raises:
        ValueError: samples that are not finite or not (time,), or fewer than 12288.

    Example: the lines that a stride of 4 leaves, -60 dBFS each, in noise.

    >>> import numpy as np
    >>> time = np.arange(65536)
    >>> noise = 1e-3 * np.random.default_rng(0).standard_normal(65536)
    >>> [comb.period for comb in find_combs(noise + 4e-3 * (time % 4 == 0), 16_000)]
    [2, 4]
    """
    samples = checked_signal(samples)
    n_fft = SHORTEST_FFT
    if len(samples) < FRAMES * n_fft:
        raise ValueError(
            f"Lines are looked for in at least {FRAMES * n_fft} samples, but there are "
            f"{len(samples)}. Give a longer recording."
        )
    while n_fft < LONGEST_FFT and len(samples) >= 2 * FRAMES * n_fft:
        n_fft *= 2
    level_dbfs = steady_spectrum_dbfs(samples, n_fft)
    residual_db = residual_over_floor(level_dbfs)
    others_db = residual_db.copy()
    found = []
    # The finest first: its lines lie beside those of the coarser ones and are no reason to doubt
    # these.
    for period in reversed(smooth_numbers(n_fft // LEAST_SPACING_BINS)):
        bins = own_lines(period) * n_fft / period
        prominence_db = comb_prominence(residual_db, others_db, bins, period)
        if prominence_db is None:
            continue
        places = folded(np.round(bins).astype(int), n_fft)
        found.append(
            Comb(
                period=period,
                spacing_hz=sample_rate_hz / period,
                lines=len(bins),
                prominence_db=prominence_db,
                level_dbfs=float(level_dbfs[places[residual_db[places].argmax()]]),
            )
        )
        others_db[lobes(period, n_fft)] = np.nan
    return tuple(found[::-1])


def comb_prominence(
    residual_db: np.ndarray, others_db: np.ndarray, bins: np.ndarray, period: int
) -> float | None:
    """Returns the median prominence of a comb's lines, None where combs beside it have as much.

    Args:
        residual_db: spectrum over its running floor, (bins,).
        others_db: the same without the lines of finer combs, which are nan.
        bins: where the lines are.
        period: of the comb.
    """
    n_fft = 2 * (len(residual_db) - 1)
    reach = n_fft // (2 * period)
    shifts = np.arange(-reach, reach + 1)
    shifts = shifts[abs(shifts) > LOBE_BINS]
    if not len(shifts):
        return None
    places = folded(np.round(bins[None] + shifts[:, None]).astype(int), n_fft)
    median = np.nanmedian if np.isnan(others_db).any() else np.median
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of shifts onto nothing but other lines
        beside = median(others_db[places], axis=1)
    beside = beside[~np.isnan(beside)]
    if not len(beside):
        return None
    middle = np.median(beside)
    spread = 1.4826 * np.median(abs(beside - middle))
    prominence_db = np.median(residual_db[folded(np.round(bins).astype(int), n_fft)])
    stands_out = (
        prominence_db - beside.max() >= LEAST_LEAD_DB
        and prominence_db - middle >= LEAST_DEVIATIONS * spread
    )
    return float(prominence_db - middle) if stands_out else None


def lobes(period: int, n_fft: int) -> np.ndarray:
    """Returns the bins of all multiples of a comb's spacing and of what belongs to them."""
    centres = np.round(np.arange(1, period // 2 + 1) * n_fft / period).astype(int)
    around = np.arange(-LOBE_BINS, LOBE_BINS + 1)
    return folded((centres[:, None] + around).ravel(), n_fft)


def own_lines(period: int) -> np.ndarray:
    """Returns the multiples up to half the rate that no divisor of the period has as well.

    >>> own_lines(12).tolist(), own_lines(2).tolist()
    ([1, 5], [1])
    """
    multiples = np.arange(1, period // 2 + 1)
    return multiples[np.gcd(multiples, period) == 1]


def smooth_numbers(largest: int) -> list[int]:
    """Returns the whole numbers from 2 on without prime factors above 7.

    >>> smooth_numbers(12)
    [2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    """

    def is_smooth(number: int) -> bool:
        for factor in range(2, LARGEST_STRIDE_FACTOR + 1):
            while number % factor == 0:
                number //= factor
        return number == 1

    return [number for number in range(2, largest + 1) if is_smooth(number)]


def folded(bins: np.ndarray, n_fft: int) -> np.ndarray:
    """Returns the bins of a real signal's spectrum, in which negative frequencies are positive."""
    bins = abs(bins)
    return np.where(bins > n_fft // 2, n_fft - bins, bins)


def implied_product(combs: Sequence[Comb]) -> int:
    """Returns the least product of strides that leaves all of the combs, 1 without any.

    >>> implied_product(())
    1
    """
    return math.lcm(*(comb.period for comb in combs))


def combs_in_words(combs: Sequence[Comb]) -> str:
    """Returns a sentence on the combs of a signal: it never says who made it."""
    if not combs:
        return "no comb of steady lines."
    spacings = "; ".join(
        f"multiples of {comb.spacing_hz:,.2f} Hz (1/{comb.period} of the rate), "
        f"{comb.prominence_db:.0f} dB out of their surroundings, the clearest at "
        f"{comb.level_dbfs:.0f} dBFS"
        for comb in combs
    )
    return (
        f"steady lines at {spacings}. Upsampling by strides whose product is "
        f"{implied_product(combs)} leaves such lines; so does other periodic processing."
    )


def frequencies_hz(combs: Sequence[Comb]) -> list[float]:
    """Returns where the lines of some combs are, those of the coarsest first.

    >>> frequencies_hz([Comb(period=4, spacing_hz=4000.0, lines=1, prominence_db=9, level_dbfs=0)])
    [4000.0]
    """
    return [float(k * comb.spacing_hz) for comb in combs for k in own_lines(comb.period)]
