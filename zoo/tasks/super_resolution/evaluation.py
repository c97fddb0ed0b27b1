"""Evaluates a run or an exported model on the clips of a folder that it was not trained on."""

import os
from collections.abc import Callable, Mapping

import numpy as np

from tonezoo.analysis.super_resolution_evaluation import (
    DEFAULT_LOW_PASS,
    SuperResolutionScores,
    evaluate,
)
from tonezoo.audio.resampling import check_low_pass
from tonezoo.tasks.evaluation_data import evaluation_clips, output_folder, training_data
from tonezoo.tasks.super_resolution import check_strength


def evaluate_model(
    path: str | os.PathLike,
    *,
    data: str | os.PathLike | None = None,
    ratio: int | None = None,
    low_pass: str = DEFAULT_LOW_PASS,
    strength_db: float | None = None,
    out: str | os.PathLike | None = None,
    model=None,
    report: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> SuperResolutionScores:
    """Scores a model beside the spline and the spline plus noise; writes JSON and Markdown.

    Args:
        path: a run's folder or an exported model's.
        data: folder of audio: its test split where the model's layout names one, else the clips
            that were held out, else all. None for procedural clips.
        ratio: checked against the model's, where given.
        low_pass: filter before the decimation, see `tonezoo.audio.resampling.decimate`.
        strength_db: of what the model makes up, see `SuperResolver`; None for its default.
        out: folder for evaluation.json and evaluation.md; None for the run's folder, or
            evaluations/NAME-VERSION for an exported model. With another low-pass or strength than
            the default the files are named after it, as evaluation_soxr.json or
            evaluation_-6dB.json: an export takes only the former.
        model: what is loaded from `path`; None to load it.
        report: receives one-line messages.
        progress: called with (clips done, clips).

    Raises:
        ValueError: an unknown low-pass, a strength that is no number up to 20, no model there, no
            usable clips, or another ratio.
    """
    from tonezoo.pretrained import load

    check_low_pass(low_pass)
    check_strength(strength_db)
    model = load(path) if model is None else model
    if ratio not in (None, model.ratio):
        raise ValueError(
            f"{path} has ratio {model.ratio}, not {ratio}. Leave --ratio out or give {model.ratio}."
        )
    out = output_folder(path, model.name, out)
    clips = evaluation_clips(
        data,
        training_data(path),
        sample_rate_hz=model.sample_rate_hz,
        ratio=model.ratio,
        report=report,
    )
    evaluation = evaluate_loaded(
        model, clips, low_pass=low_pass, strength_db=strength_db, progress=progress
    )
    written = evaluation.write(out)
    report(f"Wrote {' and '.join(map(str, written))}.")
    return evaluation


def evaluate_loaded(
    model,
    clips: Mapping[str, np.ndarray],
    *,
    low_pass: str = DEFAULT_LOW_PASS,
    strength_db: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SuperResolutionScores:
    """Scores a loaded model beside the spline and the spline plus noise; writes nothing.

    Args:
        model: a `tonezoo.tasks.super_resolution.engine.SuperResolver`.
        clips: name and mono samples (time,) at the model's output rate of each clip.
        low_pass: filter before the decimation, see `tonezoo.audio.resampling.decimate`.
        strength_db: None for the model's default.
        progress: called with (clips done, clips).

    Raises:
        ValueError: as `tonezoo.analysis.super_resolution_evaluation.evaluate`, or an unusable
            strength.
    """
    strength_db = model.strength_db if strength_db is None else strength_db
    return evaluate(
        lambda low: model.enhance(low, model.low_rate_hz, strength_db=strength_db),
        clips,
        ratio=model.ratio,
        sample_rate_hz=model.sample_rate_hz,
        model_name=model.name,
        low_pass=low_pass,
        strength_db=strength_db,
        as_by_default=strength_db == model.strength_db,
        progress=progress,
    )
