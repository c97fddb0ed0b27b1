"""Effective receptive fields measured on a folder of audio, as sentences, JSON and a picture."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tonezoo.analysis.receptive_field import PATCHES, ReceptiveField
from tonezoo.analysis.spectrogram import import_matplotlib
from tonezoo.files import atomic_path

if TYPE_CHECKING:
    import keras

# For models that do not tell theirs.
SAMPLE_RATE_HZ = 16_000
NAME = "receptive_field"
FLOOR_DB = -100.0


def receptive_field_clips(
    model: "keras.Model",
    data: str | os.PathLike | None,
    *,
    sample_rate_hz: int | None = None,
    most: int = PATCHES,
    report: Callable[[str], None] = print,
) -> list[np.ndarray]:
    """Returns mono clips (time,) at a model's rate, to measure its receptive field on.

    Args:
        data: folder of audio; None for procedural clips.
        sample_rate_hz: for a model that does not tell its rate; None for 16,000.
        most: of the folder's files, which are then taken evenly.
        report: receives one-line messages.

    Raises:
        ValueError: no usable audio in the folder.
    """
    from tonezoo.audio.folders import find_audio
    from tonezoo.recipes.corpus.speech import procedural_corpus
    from tonezoo.recipes.data.clips import read_clips
    from tonezoo.tasks.evaluation_data import EVALUATION_SEED, PROCEDURAL_CLIPS

    rate_hz = getattr(model, "sample_rate_hz", None) or sample_rate_hz or SAMPLE_RATE_HZ
    if data is None:
        report("No --data: measuring on procedural clips.")
        corpus = procedural_corpus(
            seed=EVALUATION_SEED, clips=PROCEDURAL_CLIPS, sample_rate_hz=rate_hz
        )
        return list(corpus.values())
    files = find_audio(data).files
    chosen = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, most).astype(int))]
    clips = read_clips(
        chosen,
        root=Path(data),
        sample_rate_hz=rate_hz,
        ratio=getattr(model, "ratio", 1),
        report=report,
    )
    return list(clips.values())


def sentence(label: str, field: ReceptiveField) -> str:
    """Returns what a field comes to, in words."""
    theoretical = field.theoretical_samples
    of = "" if theoretical is None else f" of {theoretical:,} theoretical ones"
    return (
        f"{label}: {field.erf_samples:,} samples{of} (sigma {field.sigma_samples:.1f}), with "
        f"{100 * field.share_inside:.0f} % of the gradient."
    )


def write_receptive_fields(
    folder: str | os.PathLike, model: str, fields: Mapping[str, ReceptiveField]
) -> Path:
    """Writes receptive_field.json and receptive_field.png to a folder; returns it.

    Args:
        folder: created if needed; files of these names are replaced.
        model: name of the model.
        fields: label, such as "as it is" -> field.

    Raises:
        ImportError: matplotlib is missing; it is in the extra `eval`.
        ValueError: the folder cannot be written to.
    """
    folder = Path(folder)
    report = {"model": model, "fields": {k: field.to_json() for k, field in fields.items()}}
    save_receptive_fields(folder / f"{NAME}.png", fields)
    with atomic_path(folder / f"{NAME}.json") as path:
        path.write_text(json.dumps(report) + "\n", encoding="utf-8")
    return folder


def save_receptive_fields(path: str | os.PathLike, fields: Mapping[str, ReceptiveField]) -> None:
    """Writes a PNG: the gradients near their centre with their Gaussians, and all of them in dB.

    Args:
        path: the PNG, replaced when it is complete.
        fields: label -> field.

    Raises:
        ImportError: matplotlib is missing; it is in the extra `eval`.
    """
    import_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    near, far = figure.subplots(1, 2)
    for index, (label, field) in enumerate(fields.items()):
        color = f"C{index}"
        near.plot(field.offsets, field.gradient, color=color, linewidth=1, label=label)
        within = f"Gaussian, {field.erf_samples:,} samples within 2 sigma"
        near.plot(field.offsets, field.gaussian, color=color, linestyle="--", label=within)
        level_db = 20 * np.log10(np.maximum(field.gradient / field.gradient.max(), 1e-10))
        far.plot(field.offsets, np.maximum(level_db, FLOOR_DB), color=color, linewidth=0.7)
    widest = max(field.erf_samples for field in fields.values())
    near.set(xlim=(-1.5 * widest, 1.5 * widest), ylabel="mean |gradient|, sum 1")
    near.legend(fontsize="small")
    reach = max(np.abs(field.offsets).max() for field in fields.values())
    far.set(xlim=(-1.02 * reach - 1, 1.02 * reach + 1), ylabel="dB below the largest")
    for panel in (near, far):
        panel.set(xlabel="input samples from the output sample")
        panel.grid(alpha=0.3, linewidth=0.5)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
