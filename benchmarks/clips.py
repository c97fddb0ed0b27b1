"""Clips of several folders to measure a super-resolution model on."""

from collections.abc import Iterable
from pathlib import Path

from tonezoo.tasks.evaluation_data import evaluation_clips, training_data


def clips_of(folders: Iterable[Path], name: str, model) -> dict:
    """Returns name -> signal, chosen in each folder as `tonezoo evaluate` chooses them.

    Args:
        folders: of audio.
        name: of the model, or where it lies: what it was trained on is left out.
        model: the loaded model.
    """
    clips, trained_on = {}, training_data(name)
    for folder in folders:
        found = evaluation_clips(
            folder,
            trained_on,
            sample_rate_hz=model.sample_rate_hz,
            ratio=model.ratio,
            report=print,
        )
        clips |= {f"{folder}/{clip}": samples for clip, samples in found.items()}
    return clips
