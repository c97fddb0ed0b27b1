"""What a telephone line does to a recording, as augmentation of the low rate."""

import io

import numpy as np
import soundfile

# Libsndfile's names of G.711, whose two laws are A and mu, and of GSM 06.10, full rate.
CODECS = ("ALAW", "ULAW", "GSM610")
HISS_SHARE = 0.5
HISS_DBFS = (-75.0, -45.0)
CLIPPING_SHARE = 0.25
CODEC_SHARE = 0.8


def telephone(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a recording as it comes out of a telephone.

    Light hiss, clipping, a band-pass of about 300 to 3400 Hz and a codec (A-law, mu-law or GSM full
    rate), each but the band-pass in a share of the cases alone.

    Args:
        samples: (time,) at 8 kHz, full scale 1.0; of another rate, the band scales with it.
        rng: what is random.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> tone = 0.5 * np.sin(2 * np.pi * 50 / 8000 * np.arange(8000))
    >>> bool(np.abs(telephone(tone, rng)).max() < 0.05)  # below the band
    True
    """
    if rng.random() < HISS_SHARE:
        samples = samples + rng.normal(0, 10 ** (rng.uniform(*HISS_DBFS) / 20), len(samples))
    if rng.random() < CLIPPING_SHARE:
        limit = rng.uniform(0.3, 0.9) * np.abs(samples).max()
        samples = np.clip(samples, -limit, limit)
    samples = band_passed(samples, rng)
    if rng.random() < CODEC_SHARE:
        samples = through_codec(samples, str(rng.choice(CODECS)))
    return samples


def band_passed(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns a signal (time,) through a random telephone band, without delay."""
    spectrum = np.fft.rfft(samples)
    spectrum *= band_pass(np.linspace(0, 1, len(spectrum)), rng)
    return np.fft.irfft(spectrum, len(samples))


def band_pass(frequencies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Returns the response of a random telephone band at frequencies re the Nyquist frequency."""
    lowest, highest = rng.uniform(0.05, 0.09), rng.uniform(0.83, 0.9)
    steepness = 2 * rng.integers(2, 7)
    above = 1 - 1 / (1 + (frequencies / lowest) ** steepness)
    return np.sqrt(above / (1 + (frequencies / highest) ** (4 * steepness)))


def through_codec(samples: np.ndarray, codec: str) -> np.ndarray:
    """Returns what a codec makes of a signal (time,), clipped at full scale.

    Args:
        samples: (time,).
        codec: one of `CODECS`.
    """
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1, 1), 8000, format="WAV", subtype=codec)
    file.seek(0)
    decoded = soundfile.read(file)[0]
    # GSM works in blocks, the last of which it fills up.
    return decoded[: len(samples)]
