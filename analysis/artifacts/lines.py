"""Lines that upsampling leaves in a signal: steady tones on a grid that the strides set.

A stack of layers whose last stride is k, the one before it m, and so on, puts lines at the
multiples of rate / k, rate / (k m), ... of its output: the architecture sets them, not the weights.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from tonezoo.analysis.spectrogram import power_frames

# Of the running floor below a line.
FLOOR_BINS = 101
# Lines of a grid are at least so far apart: the main lobe of a Hann window takes 3 bins, and the
# running median has to see more floor than lines.
LEAST_SPACING_BINS = 8
LEAST_FFT = 4096
# Of all periods together.
LONGEST_PERIOD = 65_536
# What is farther below the strongest bin is rounding, and what is lower nobody hears.
RANGE_DB = 110.0
INAUDIBLE_DBFS = -120.0
# A line stands out of its surroundings by so much, and out of the highest control by `MARGIN_DB`.
LEAST_PROMINENCE_DB = 6.0
MARGIN_DB = 3.0
# A line is a peak: so many bins away it is over, where the skirt of a louder tone goes on.
PEAK_BINS = 3
LEAST_PEAK_DB = 3.0
FRAMES_AT_ONCE = 64


@dataclass(frozen=True)
class Line:
    """A line of a grid.

    Attributes:
        frequency_hz: where it is.
        period: the shortest of the periods asked for, in samples, on whose grid it lies.
        level_dbfs: mean over time of its level; a full-scale sine has 0 dB.
        prominence_db: its level above the running median of 101 bins, less the median of the same
            over the control lines.
        peak_db: its level above that of the higher of the bins 3 away on either side.
    """

    frequency_hz: float
    period: int
    level_dbfs: float
    prominence_db: float
    peak_db: float


@dataclass(frozen=True, kw_only=True, eq=False)
class LineSpectrum:
    """The steady spectrum of a signal, and its lines on the grids of some periods.

    Attributes:
        sample_rate_hz: rate of the signal.
        level_dbfs: mean over time of the spectrum in dB, (bins,), from 0 Hz to half the rate.
        lines: every line of the grids, upwards in frequency.
        threshold_db: prominence from which on a line is one: 6 dB, or 3 dB above the highest of
            the control lines, which lie halfway between those of the grid.
    """

    sample_rate_hz: float
    level_dbfs: np.ndarray
    lines: tuple[Line, ...]
    threshold_db: float

    @property
    def found(self) -> tuple[Line, ...]:
        """The lines that stand out, and are peaks by 3 dB."""
        return tuple(
            line
            for line in self.lines
            if line.prominence_db >= self.threshold_db and line.peak_db >= LEAST_PEAK_DB
        )

    def over(self, other: "LineSpectrum") -> "LineSpectrum":
        """Returns the lines less what those of another signal stand out by, at the same places."""
        lines = tuple(
            dataclasses.replace(
                line, prominence_db=line.prominence_db - max(theirs.prominence_db, 0.0)
            )
            for line, theirs in zip(self.lines, other.lines, strict=True)
        )
        return dataclasses.replace(self, lines=lines)

    @property
    def strongest(self) -> Line:
        """The line of the highest prominence."""
        return max(self.lines, key=lambda line: line.prominence_db)


def measure_lines(
    samples: np.ndarray,
    sample_rate_hz: float,
    periods: Sequence[int],
    *,
    floor_dbfs: float = INAUDIBLE_DBFS,
) -> LineSpectrum:
    """Measures the lines of a signal at the multiples of rate / P, for each period P.

    The spectrum is the mean over time of the dB of a Hann periodogram, not of its power: it lets a
    steady tone stand out of a programme that comes and goes. Its length is a multiple of every
    period, so that lines fall on bins; control lines lie halfway between. Levels below
    `floor_dbfs`, and more than 110 dB below the strongest bin, count as that: in silence, a line's
    prominence is its level over the floor.

    Args:
        samples: signal, (time,), full scale is 1.0.
        sample_rate_hz: its rate.
        periods: in samples, at least 2, such as (2, 4, 32, 256) for the strides 8, 8, 2, 2.
        floor_dbfs: what is lower is taken for nothing.

    Raises:
        ValueError: no period, a period below 2, periods whose least common multiple is above
            65,536, samples that are not finite or not (time,), or fewer of them than 32 times that
            multiple and than 16384.

    Example: a tone of -60 dBFS at 3/8 of the rate in noise, as a stride of 8 may leave it.

    >>> import numpy as np
    >>> noise = 1e-4 * np.random.default_rng(0).standard_normal(65536)
    >>> tone = 1e-3 * np.cos(2 * np.pi * 3 / 8 * np.arange(65536))
    >>> found = measure_lines(noise + tone, 16_000, [8]).found
    >>> [(line.frequency_hz, round(line.level_dbfs)) for line in found]
    [(6000.0, -60)]
    """
    samples = checked_signal(samples)
    periods = checked_periods(periods)
    longest = common_period(periods)
    needed = 4 * max(LEAST_SPACING_BINS * longest, LEAST_FFT)
    if len(samples) < needed:
        raise ValueError(
            f"Lines {longest} samples apart in time need {needed} samples to be told from their "
            f"surroundings, but there are {len(samples)}. Give a longer signal, or shorter periods."
        )
    spacing = LEAST_SPACING_BINS * -(-LEAST_FFT // (LEAST_SPACING_BINS * longest))
    n_fft = spacing * longest
    level_dbfs = steady_spectrum_dbfs(samples, n_fft, floor_dbfs)
    residual_db = residual_over_floor(level_dbfs)
    controls_db = residual_db[spacing // 2 :: spacing]
    reference_db = float(np.median(controls_db))
    bins = np.arange(spacing, n_fft // 2 + 1, spacing)
    mirrored_dbfs = np.pad(level_dbfs, (0, PEAK_BINS), mode="reflect")
    lines = tuple(
        Line(
            frequency_hz=float(bin_ * sample_rate_hz / n_fft),
            period=next(period for period in periods if bin_ * period % n_fft == 0),
            level_dbfs=float(level_dbfs[bin_]),
            prominence_db=float(residual_db[bin_] - reference_db),
            peak_db=float(
                level_dbfs[bin_]
                - max(mirrored_dbfs[bin_ - PEAK_BINS], mirrored_dbfs[bin_ + PEAK_BINS])
            ),
        )
        for bin_ in bins
        if any(bin_ * period % n_fft == 0 for period in periods)
    )
    return LineSpectrum(
        sample_rate_hz=sample_rate_hz,
        level_dbfs=level_dbfs,
        lines=lines,
        threshold_db=max(LEAST_PROMINENCE_DB, float(controls_db.max()) - reference_db + MARGIN_DB),
    )


def periods_of(strides: Sequence[int]) -> tuple[int, ...]:
    """Returns the periods that strides leave, the products of them from the output inwards.

    Args:
        strides: of the upsampling layers, from the input to the output.

    Raises:
        ValueError: no stride, or one below 1.

    Example:

    >>> periods_of([8, 8, 2, 2])
    (2, 4, 32, 256)
    """
    if not strides or min(strides) < 1:
        raise ValueError(
            f"Strides are whole numbers of at least 1, such as 8, 8, 2, 2; received {strides!r}."
        )
    return tuple(sorted({int(p) for p in np.cumprod(list(strides)[::-1])} - {1}))


def checked_signal(samples: np.ndarray) -> np.ndarray:
    """Returns a signal as float64.

    Raises:
        ValueError: it is not (time,), or not finite.
    """
    samples = np.asarray(samples, "float64")
    if samples.ndim != 1:
        raise ValueError(f"A signal is (time,), but got the shape {samples.shape}.")
    wrong = np.count_nonzero(~np.isfinite(samples))
    if wrong:
        raise ValueError(f"The signal has {wrong} NaN or infinite samples of {len(samples)}.")
    return samples


def checked_periods(periods: Sequence[int]) -> list[int]:
    """Returns the periods in order.

    Raises:
        ValueError: as `measure_lines`.
    """
    ordered = sorted(set(periods))
    if not ordered or ordered[0] < 2 or common_period(ordered) > LONGEST_PERIOD:
        raise ValueError(
            "Periods are products of strides from the output inwards: whole numbers of at least 2, "
            "such as 2, 4, 32, 256, with a common multiple of at most "
            f"{LONGEST_PERIOD:,}. Received {periods!r}."
        )
    return ordered


def common_period(periods: Sequence[int]) -> int:
    """Returns the period that all of them fit into, 2 for none.

    >>> common_period([4, 6])
    12
    """
    return math.lcm(*periods) if periods else 2


def steady_spectrum_dbfs(
    samples: np.ndarray, n_fft: int, floor_dbfs: float = INAUDIBLE_DBFS
) -> np.ndarray:
    """Returns the mean over time of the spectrum in dB, (n_fft // 2 + 1,).

    Frames have a Hann window and three quarters in common; a full-scale sine on a bin has 0 dB.
    """
    hop = n_fft // 4
    frames = 1 + max(0, len(samples) - n_fft) // hop
    # The sum of a periodic Hann window is half its length; a sine is two lines but at the ends.
    full_scale = np.full(n_fft // 2 + 1, (n_fft / 4) ** 2)
    full_scale[[0, -1]] *= 4
    least = 10 ** (floor_dbfs / 10)
    total = np.zeros(len(full_scale))
    for first in range(0, frames, FRAMES_AT_ONCE):
        last = min(first + FRAMES_AT_ONCE, frames) - 1
        power = power_frames(samples[first * hop : last * hop + n_fft], n_fft, hop) / full_scale
        total += (10 * np.log10(np.maximum(power, least))).sum(axis=0)
    level_dbfs = total / frames
    return np.maximum(level_dbfs, level_dbfs.max() - RANGE_DB)


def residual_over_floor(level_dbfs: np.ndarray) -> np.ndarray:
    """Returns a spectrum in dB over its running median of 101 bins, (bins,)."""
    return level_dbfs - median_filter(level_dbfs, FLOOR_BINS, mode="reflect")
