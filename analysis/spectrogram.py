"""Short-time power spectra on NumPy arrays."""

import importlib
from types import ModuleType

import numpy as np

from tonezoo.extras import import_extra

FLOOR_DB = -100.0


def power_frames(samples: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """Returns |STFT|^2 of a signal, one row per frame, with a periodic Hann window.

    Frame m covers samples m * hop to m * hop + n_fft - 1; nothing is padded and an incomplete last
    frame is left out, so that there are 1 + (time - n_fft) // hop frames. Only a signal shorter
    than one frame is zero-padded at its end, to exactly one.

    Args:
        samples: signal, (time,), at least one sample.
        n_fft: frame and window length in samples.
        hop: distance of successive frames in samples.

    Returns:
        float64, (frames, n_fft // 2 + 1).

    Example:

    >>> import numpy as np
    >>> power_frames(np.ones(10), n_fft=4, hop=2).shape
    (4, 3)
    >>> power_frames(np.ones(4), n_fft=4, hop=2).round(6).tolist()
    [[4.0, 1.0, 0.0]]
    """
    samples = np.asarray(samples, "float64")
    if len(samples) < n_fft:
        samples = np.pad(samples, (0, n_fft - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[::hop]
    return np.abs(np.fft.rfft(frames * _hann(n_fft), axis=1)) ** 2


def spectrogram_db(samples: np.ndarray, *, n_fft: int = 1024, hop: int = 256) -> np.ndarray:
    """Returns the spectrogram of a signal in dB, where a full-scale sine is 0 dB.

    20 log10(2 |STFT| / sum of the window), Hann, clamped at -100 dB.

    Args:
        samples: signal, (time,), full scale is 1.0, at least one sample.
        n_fft: frame length in samples.
        hop: distance of successive frames in samples.

    Returns:
        float32, (n_fft // 2 + 1, frames), frequency upwards from 0 Hz.

    Raises:
        ValueError: `samples` is empty or has more than one axis.

    Example: a full-scale sine on bin 8 of 64.

    >>> import numpy as np
    >>> picture = spectrogram_db(np.sin(2 * np.pi * np.arange(256) / 8), n_fft=64, hop=16)
    >>> picture.shape, int(picture[:, 0].argmax()), round(float(picture[8, 0]), 3)
    ((33, 13), 8, 0.0)
    """
    samples = np.asarray(samples)
    if samples.ndim != 1 or not len(samples):
        raise ValueError(
            f"A spectrogram needs a signal (time,) of at least one sample, received the shape "
            f"{samples.shape}. Pass one channel at a time."
        )
    full_scale = (_hann(n_fft).sum() / 2) ** 2
    power = power_frames(samples, n_fft, hop) / full_scale
    return (10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))).T.astype("float32")


def overview_db(samples: np.ndarray, *, most_frames: int = 600, most_bins: int = 300) -> np.ndarray:
    """Returns the spectrogram of a signal of any length at the size of a picture.

    As `spectrogram_db`, with frames as far apart as the size wants, long enough that none of the
    signal lies between them, and the highest of neighbouring bins, so that lines stay.

    Args:
        samples: signal, (time,), full scale is 1.0, at least one sample.
        most_frames, most_bins: largest width and height.

    Returns:
        float32, (bins, frames), frequency upwards from 0 Hz to about half the rate.

    Raises:
        ValueError: as `spectrogram_db`.

    Example: a minute at 44.1 kHz.

    >>> import numpy as np
    >>> overview_db(np.zeros(60 * 44_100, "float32")).shape
    (292, 599)
    """
    hop = max(256, -(-len(samples) // most_frames))
    n_fft = max(1024, 1 << (hop - 1).bit_length())
    level_db = spectrogram_db(samples, n_fft=n_fft, hop=hop)
    group = -(-len(level_db) // most_bins)
    # The bin at half the rate stands alone and is left out with its group.
    rows = len(level_db) // group
    # (bins, frames) -> (groups, bins of a group, frames)
    return level_db[: rows * group].reshape(rows, group, -1).max(axis=1)


def import_matplotlib() -> ModuleType:
    """Returns the module matplotlib, with matplotlib.figure.

    Raises:
        ImportError: it is missing, with the extra to install.
    """
    import_extra("matplotlib.figure", "eval", "Pictures need")
    return importlib.import_module("matplotlib")


def _hann(length: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
