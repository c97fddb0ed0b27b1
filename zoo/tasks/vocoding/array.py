"""Vocoding of an array in one call."""

import os

import numpy as np

from tonezoo.pretrained import engine_for
from tonezoo.tasks.vocoding.engine import Vocoder


def vocode(mel: np.ndarray, *, model: str | os.PathLike | Vocoder) -> np.ndarray:
    """Makes a waveform of a mel spectrogram with an exported model or a training run.

    The model is loaded at the first call and kept. For long spectrograms, for which memory matters,
    use the command `tonezoo vocode`, or `stream_mel(mel, chunk_samples)` of `tonezoo.load(model)`,
    which also makes mel spectrograms (`mel`), and audio of audio (`copy_synthesis`).

    Args:
        mel: logarithms to base 10 of magnitudes in mel bands, as `tonezoo.layers.MelSpectrogram1D`
            gives them, (frames, bands) or (bands, frames).
        model: folder of an exported model, one of its versions, a training run, the name of a model
            that comes with tonezoo, or what `tonezoo.load` returned.

    Returns:
        float32, (frames * hop,), at the model's rate.

    Raises:
        ValueError: an unusable model, or a spectrogram of another shape, type or range.
    """
    return engine_for("vocoding", model).vocode(mel)
