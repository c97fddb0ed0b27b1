"""Evaluates a run or an exported model on the clips of a folder that it was not trained on."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tonezoo.analysis.super_resolution_evaluation import (
    DEFAULT_LOW_PASS,
    SuperResolutionScores,
    evaluate,
)
from tonezoo.audio.resampling import check_low_pass
from tonezoo.recipes.data.layouts import find_clips
from tonezoo.tasks.evaluation_data import (
    EVALUATION_SEED,
    choose_items,
    output_folder,
    training_data,
)
from tonezoo.tasks.super_resolution import check_strength

PROCEDURAL_CLIPS = 8


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
    clips = evaluation_clips(data, training_data(path), model, report)
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


def evaluation_clips(data, provenance: dict, model, report) -> dict:
    """Returns name -> signal of the clips to evaluate on."""
    from tonezoo.recipes.corpus.speech import procedural_corpus
    from tonezoo.recipes.data.clips import read_clips

    if data is None:
        report("No --data: evaluating on procedural clips that were not trained on.")
        return procedural_corpus(
            seed=EVALUATION_SEED, clips=PROCEDURAL_CLIPS, sample_rate_hz=model.sample_rate_hz
        )
    everything = find_clips(Path(data), layout="folder")
    test = layout_test_clips(everything, provenance.get("layout") or "folder", report)
    paths = choose_items(
        everything.train, everything.root, provenance, report, word="clip", test=test
    )
    return read_clips(
        paths,
        root=everything.root,
        sample_rate_hz=model.sample_rate_hz,
        ratio=model.ratio,
        report=report,
    )


def layout_test_clips(everything, layout: str, report) -> tuple[Path, ...]:
    """Returns the test part that a layout names: all where the folder does not have that layout."""
    if layout == "folder":
        return ()
    try:
        return find_clips(everything.root, layout=layout).test
    except ValueError as error:
        report(f"{error} Evaluating on all {len(everything.train)} files.")
        return everything.train
