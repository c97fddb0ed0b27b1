"""Clips of several folders to measure a super-resolution model on."""

from collections.abc import Iterable
from pathlib import Path

from tonezoo.tasks.evaluation_data import training_data
from tonezoo.tasks.super_resolution.evaluation import evaluation_clips


def clips_of(folders: Iterable[Path], name: str, model) -> dict:
    """Returns name -> signal, chosen in each folder as `tonezoo evaluate` chooses them.

    Args:
        folders: of audio.
        name: of the model, or where it lies: what it was trained on is left out.
        model: the loaded model.
    """
    clips, trained_on = {}, training_data(name)
    for folder in folders:
        found = evaluation_clips(folder, trained_on, model, print)
        clips |= {f"{folder}/{clip}": samples for clip, samples in found.items()}
    return clips
