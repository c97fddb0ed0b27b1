"""Signals and audio files that the tests are given."""

import io
from pathlib import Path

import numpy as np
import soundfile

# libsndfile's Vorbis encoder overflows the stack when it is given too much at once.
_BLOCK_FRAMES = 10_000


def noise(*shape: int, seed: int = 0, peak: float | None = None, std: float = 0.1) -> np.ndarray:
    """Returns white noise, float32: normal with `std`, or uniform within +-`peak` if that is given.

    Args:
        shape: such as (time,), (time, channels) or (batch, time, channels).
    """
    rng = np.random.default_rng(seed)
    samples = std * rng.standard_normal(shape) if peak is None else rng.uniform(-peak, peak, shape)
    return samples.astype("float32")


def sine(
    frequency_hz: float, samples: int, sample_rate_hz: float, *, level: float = 0.5
) -> np.ndarray:
    """Returns a tone that begins at zero, float64 (time,)."""
    return level * np.sin(2 * np.pi * frequency_hz * np.arange(samples) / sample_rate_hz)


def write_audio(path: Path, samples: np.ndarray, sample_rate_hz: int, **options) -> Path:
    """Writes a file with soundfile itself, its folder too, and returns its path.

    Args:
        path: its suffix chooses the format.
        samples: (time,) or (time, channels).
        options: of `soundfile.SoundFile`, such as subtype="FLOAT".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(path, "w", sample_rate_hz, channels, **options) as file:
        for start in range(0, len(samples), _BLOCK_FRAMES):
            file.write(samples[start : start + _BLOCK_FRAMES])
    return path


def audio_bytes(
    samples: np.ndarray, sample_rate_hz: int, *, format: str = "WAV", **options
) -> bytes:
    """Returns the content of a file; 16 bits where `options`, as of `write_audio`, say nothing."""
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate_hz, format=format, **{"subtype": "PCM_16"} | options)
    return file.getvalue()
