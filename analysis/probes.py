"""What a super-resolution model makes of silence and of noise: artifacts that clips hide."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tonezoo.analysis.spectrogram import power_frames

NOISE_DBFS = -60.0
NOISE_S = 16.0
SILENCE_S = 2.0
N_FFT = 4096
LINE_BINS = 3
SURROUNDINGS_BINS = (8, 60)
FLOOR_DBFS = -200.0
# What white noise of that level has in a bin: the mean square of a periodic Hann window is 3/8.
POWER_FLOOR = 10 ** (FLOOR_DBFS / 10) * N_FFT * 3 / 8


@dataclasses.dataclass(frozen=True)
class Probes:
    """The answers of a model to digital silence and to white noise.

    Attributes:
        silence_dbfs: peak of the output for digital silence, at least -200.
        lines_db: frequency in Hz -> how far the output for white noise of -60 dBFS (RMS) stands
            out there, in dB.
    """

    silence_dbfs: float
    lines_db: dict[float, float]

    @property
    def sentences(self) -> list[str]:
        frequency_hz = max(self.lines_db, key=self.lines_db.__getitem__)
        return [
            f"Digital silence in: peak {self.silence_dbfs:.0f} dBFS out.",
            f"White noise of {NOISE_DBFS:g} dBFS in: the strongest line at a multiple of the "
            f"resolutions inside is at {frequency_hz:g} Hz, {self.lines_db[frequency_hz]:.1f} dB "
            "above its surroundings.",
        ]


def probe(
    enhance: Callable[[np.ndarray], np.ndarray], *, ratio: int, sample_rate_hz: int
) -> Probes:
    """Returns what `enhance` makes of 2 s of silence and of 16 s of noise.

    Upsampling layers leave tones at the multiples of the rates that they take, fs / 2^k for the
    output rate fs: lines are looked for at fs / 2, fs / 4 ... above 100 Hz. A line is the
    highest of 7 bins there of an averaged 4096-point Hann periodogram, in dB above the median of
    those 8 to 60 bins away; less than white noise of -200 dBFS has counts as that much.

    Args:
        enhance: function from low-rate float32 (time,) to high-rate samples (time * ratio,).
        ratio: high rate over low rate.
        sample_rate_hz: the high rate.

    Raises:
        ValueError: the model fails on one of the two, or its answer has another length or
            non-finite samples; the message names the signal.

    Example:

    >>> probes = probe(lambda low: np.repeat(low, 2), ratio=2, sample_rate_hz=16_000)
    >>> probes.silence_dbfs, sorted(probes.lines_db)
    (-200.0, [125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0])
    """
    silence = np.zeros(round(SILENCE_S * sample_rate_hz / ratio), "float32")
    peak = np.abs(answer(enhance, "digital silence", silence, ratio)).max()
    noise = np.random.default_rng(0).standard_normal(round(NOISE_S * sample_rate_hz / ratio))
    noise = (10 ** (NOISE_DBFS / 20) * noise).astype("float32")
    output = answer(enhance, f"white noise of {NOISE_DBFS:g} dBFS", noise, ratio)
    power = power_frames(output, N_FFT, N_FFT // 2).mean(axis=0)
    lines_db, frequency_hz = {}, sample_rate_hz / 2
    while frequency_hz > 100:
        bin_ = round(frequency_hz / sample_rate_hz * N_FFT)
        lines_db[frequency_hz] = line_db(power, bin_)
        frequency_hz /= 2
    silence_dbfs = max(20 * np.log10(max(peak, 1e-20)), FLOOR_DBFS)
    return Probes(float(silence_dbfs), lines_db)


def answer(
    enhance: Callable[[np.ndarray], np.ndarray], name: str, low: np.ndarray, ratio: int
) -> np.ndarray:
    """Returns what a model makes of a probe signal.

    Raises:
        ValueError: it fails, or returns another length or non-finite samples; names the signal.
    """
    try:
        output = np.asarray(enhance(low))
    except ValueError as error:
        raise ValueError(f"Probe, {name}: {error}") from error
    expected = (ratio * len(low),)
    if output.shape != expected:
        raise ValueError(
            f"Probe, {name}: the model returned the shape {output.shape} for {low.shape}, but a "
            f"ratio of {ratio} makes it {expected}."
        )
    wrong = np.count_nonzero(~np.isfinite(output))
    if wrong:
        raise ValueError(
            f"Probe, {name}: the model returned {wrong} NaN or infinite samples of {len(output)}. "
            "If it divides by the level or the peak of its input, keep that from being zero."
        )
    return output


def line_db(power: np.ndarray, bin_: int) -> float:
    """Returns how far the power around a bin stands out of its surroundings, in dB."""
    distance = np.abs(np.arange(len(power)) - bin_)
    nearest, farthest = SURROUNDINGS_BINS
    power = np.maximum(power, POWER_FLOOR)
    around = power[(distance >= nearest) & (distance <= farthest)]
    return float(10 * np.log10(power[distance <= LINE_BINS].max() / np.median(around)))
