"""The short-time spectra of the figures, and what is read off them."""

from types import ModuleType

import numpy as np

from tonezoo.analysis.figures.panels import FLOOR_DB, Spectrogram
from tonezoo.extras import import_extra

N_FFT, HOP = 2048, 512
# Of the reference: below what is drawn, and below the rounding of float32.
SMALLEST = 1e-15
# What a line or a notch is compared with: bins this far from it.
SURROUNDINGS_BINS = (8, 60)
# A tone is a peak that stands out by this much.
TONE_DB = 20.0


def import_librosa() -> ModuleType:
    """Returns the module librosa, or raises ImportError with the extra to install."""
    return import_extra("librosa", "eval", "Figures need")


def magnitudes(samples: np.ndarray, *, center: bool = False) -> np.ndarray:
    """Returns |STFT| of a signal (time,), (1025, frames): librosa's, 2048 points, hop 512, Hann.

    Args:
        samples: signal, (time,), at least 2048 samples.
        center: True to pad the signal with zeros so that frames are centred on 0, 512, ...; False
            for frames that begin there, within the signal.

    Example: a constant of 1 has the sum of the window at 0 Hz.

    >>> magnitudes(np.ones(4096))[0].round(3).tolist()
    [1024.0, 1024.0, 1024.0, 1024.0, 1024.0]
    """
    samples = np.asarray(samples, "float64")
    librosa = import_librosa()
    return np.abs(librosa.stft(samples, n_fft=N_FFT, hop_length=HOP, center=center))


def reference(samples: np.ndarray) -> float:
    """Returns the largest magnitude of an input, to which all levels of a figure refer."""
    return float(magnitudes(samples, center=True).max())


def levels_db(samples: np.ndarray, reference: float, *, center: bool = False) -> np.ndarray:
    """Returns 20 log10(|STFT| / reference), (1025, frames), -300 dB at least.

    Example:

    >>> levels_db(0.1 * np.ones(4096), 1024.0)[0].round(3).tolist()
    [-20.0, -20.0, -20.0, -20.0, -20.0]
    """
    ratio = magnitudes(samples, center=center) / reference
    return 20 * np.log10(np.maximum(ratio, SMALLEST))


def panel(title: str, level_db: np.ndarray, sample_rate_hz: float, floor_db: float = FLOOR_DB):
    """Returns the panel of what `levels_db` returned."""
    return Spectrogram(
        title=title,
        level_db=level_db,
        sample_rate_hz=sample_rate_hz,
        hop_samples=HOP,
        floor_db=floor_db,
    )


class Spectrum:
    """The median over time of a spectrogram, and what is read off it.

    Args:
        level_db: (1025, frames), from `levels_db`.
        sample_rate_hz: of the signal.

    Example: a tone of amplitude 0.01, two lines of 0.005, on a constant of 1.

    >>> tone = 1 + 0.01 * np.cos(np.pi / 2 * np.arange(8192))
    >>> spectrum = Spectrum(levels_db(tone, 1024.0), 32_000)
    >>> spectrum.tones_hz(), round(spectrum.at_db(8000), 1)
    ([8000.0], -46.0)
    """

    def __init__(self, level_db: np.ndarray, sample_rate_hz: float):
        self.level_db = level_db
        self.line_db = np.median(level_db, axis=1)
        self.sample_rate_hz = sample_rate_hz

    @property
    def median_db(self) -> float:
        """The median over time and frequency."""
        return float(np.median(self.level_db))

    def band_db(self, low_hz: float, high_hz: float) -> float:
        """Returns the median over time and over the frequencies from `low_hz` to `high_hz`."""
        return float(np.median(self.level_db[self._bin(low_hz) : self._bin(high_hz) + 1]))

    def at_db(self, frequency_hz: float) -> float:
        """Returns the level of the bin nearest to a frequency."""
        return float(self.line_db[self._bin(frequency_hz)])

    def stands_out_db(self, frequency_hz: float) -> float:
        """Returns how far a frequency lies above its surroundings, 8 to 60 bins away, in dB.

        Of a tone it is positive, of a valley negative.
        """
        distance = np.abs(np.arange(len(self.line_db)) - self._bin(frequency_hz))
        nearest, farthest = SURROUNDINGS_BINS
        around = self.line_db[(distance >= nearest) & (distance <= farthest)]
        return self.at_db(frequency_hz) - float(np.median(around))

    def tones_hz(self, floor_db: float = FLOOR_DB) -> list[float]:
        """Returns the frequencies above 0 Hz of the peaks above a floor that stand out by 20 dB."""
        from scipy.signal import find_peaks

        # With something lower behind it, half the rate can be a peak.
        line_db = np.maximum(np.append(self.line_db, self.line_db.min() - 1), floor_db)
        peaks, _ = find_peaks(line_db, prominence=TONE_DB, height=floor_db + TONE_DB)
        spacing_hz = self.sample_rate_hz / N_FFT
        return [float(peak * spacing_hz) for peak in peaks if peak > SURROUNDINGS_BINS[0]]

    def _bin(self, frequency_hz: float) -> int:
        return round(frequency_hz / self.sample_rate_hz * N_FFT)
