"""Evaluates a vocoder on the clips of a folder that it was not trained on."""

import os
from collections.abc import Callable
from pathlib import Path

from tonezoo.analysis.scores import Scores
from tonezoo.analysis.vocoding_evaluation import evaluate_vocoding
from tonezoo.tasks.evaluation_data import evaluation_clips, output_folder, training_data
from tonezoo.tasks.vocoding.engine import Vocoder


def evaluate_vocoder(
    path: str | os.PathLike,
    model: Vocoder,
    *,
    data: Path | None = None,
    out: Path | None = None,
    report: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Scores a vocoder's copy synthesis beside Griffin-Lim's; writes JSON and Markdown.

    Args:
        path: a run's folder or an exported model's.
        model: what is loaded from there.
        data: folder of audio: the clips that were held out, else all. None for procedural clips.
        out: folder for evaluation.json and evaluation.md; None for the run's folder, or
            evaluations/NAME-VERSION for an exported model.
        report: receives one-line messages.
        progress: called with (clips done, clips).

    Raises:
        ValueError: no usable clips.
        ImportError: librosa is missing.
    """
    out = output_folder(path, model.name, out)
    clips = evaluation_clips(
        data, training_data(path), sample_rate_hz=model.sample_rate_hz, ratio=1, report=report
    )
    evaluation = evaluate_vocoding(model, clips, progress=progress)
    written = evaluation.write(out)
    report(f"Wrote {' and '.join(map(str, written))}.")
    return evaluation
