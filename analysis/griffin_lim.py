"""What can be had of a mel spectrogram without a model: librosa's Griffin-Lim."""

from collections.abc import Sequence

import numpy as np

from tonezoo.extras import import_extra


def griffin_lim(
    mel: np.ndarray,
    iterations: Sequence[int],
    *,
    sample_rate_hz: int,
    hop_samples: int,
    window_samples: int,
    lowest_hz: float = 0.0,
    highest_hz: float | None = None,
    seed: int = 0,
) -> list[np.ndarray]:
    """Returns waveforms (frames * hop,) for a mel spectrogram, one for each number of iterations.

    The magnitudes are the non-negative ones whose mel spectrogram is nearest (least squares), the
    phases those of the fast Griffin-Lim algorithm (momentum 0.99), random at first.

    Args:
        mel: log10 of magnitudes, (frames, bands), as `tonezoo.layers.MelSpectrogram1D` gives it.
        iterations: numbers of them.
        sample_rate_hz, hop_samples, window_samples, lowest_hz, highest_hz: see there.
        seed: of the first phases.

    Raises:
        ImportError: librosa is missing.

    Source: Perraudin et al., "A fast Griffin-Lim algorithm", 2013; the package librosa.

    Example:

    >>> mel = np.full((4, 10), -1.0)
    >>> settings = {"sample_rate_hz": 8000, "hop_samples": 64, "window_samples": 256}
    >>> [waveform.shape for waveform in griffin_lim(mel, (1, 2), **settings)]
    [(256,), (256,)]
    """
    librosa = import_extra("librosa", "eval", "Griffin-Lim needs")
    magnitudes = librosa.feature.inverse.mel_to_stft(
        10.0 ** np.asarray(mel, "float64").T,
        sr=sample_rate_hz,
        n_fft=window_samples,
        power=1.0,
        fmin=lowest_hz,
        fmax=highest_hz,
    )
    length = len(mel) * hop_samples
    # Its last frame ends a signal, which here ends a hop later.
    magnitudes = np.pad(magnitudes, ((0, 0), (0, 1)), mode="edge")
    # librosa's frames are centred where hops begin, those of the layer half a hop later.
    later = hop_samples // 2
    waveforms = []
    for count in iterations:
        waveform = librosa.griffinlim(
            magnitudes,
            n_iter=count,
            hop_length=hop_samples,
            win_length=window_samples,
            n_fft=window_samples,
            length=length,
            random_state=seed,
        )
        waveforms.append(np.pad(waveform, (later, 0))[:length].astype("float32"))
    return waveforms
