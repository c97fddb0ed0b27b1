"""Evaluates a separation model on the tracks of a folder, or on procedural ones."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

from tonezoo.analysis.separation_evaluation import SeparationScores, evaluate_separation
from tonezoo.recipes.data.tracks import find_tracks, fit_channels, read_track, track_name
from tonezoo.tasks.evaluation_data import (
    EVALUATION_SEED,
    choose_items,
    output_folder,
    training_data,
)
from tonezoo.tasks.separation import SeparationOptions
from tonezoo.tasks.separation.engine import Separator

PROCEDURAL_TRACKS = 6
PROCEDURAL_TRACK_S = 8.0


def evaluate_separator(
    path: str | os.PathLike,
    model: Separator,
    *,
    data: str | os.PathLike | None = None,
    options: SeparationOptions | None = None,
    out: str | os.PathLike | None = None,
    report: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> SeparationScores:
    """Scores a model beside the shared-out mixture; writes JSON, Markdown and museval's files.

    Every track is read once, when its turn comes; one that cannot be read is reported and left out.

    Args:
        path: a run's folder or an exported model's.
        model: what is loaded from there.
        data: folder of tracks: the test part of MUSDB18, else the tracks that were held out, else
            all. None for 6 procedural tracks of 8 s that were not trained on.
        options: segment, overlap and shifts.
        out: folder for evaluation.json, evaluation.md and museval/; None for the run's folder, or
            evaluations/NAME-VERSION for an exported model.
        report: receives one-line messages.
        progress: called with (tracks done, tracks).

    Raises:
        ValueError: no usable tracks, or fewer than two sources.
        ImportError: museval or what it needs is missing.
    """
    options = options or SeparationOptions()
    out = output_folder(path, model.name, out)
    tracks = evaluation_tracks(data, training_data(path), model, report)
    details = {"shifts": options.shifts, "overlap": options.overlap}
    details["segment_s"] = options.segment_s or model.segment_samples / model.sample_rate_hz
    evaluation = evaluate_separation(
        lambda mixture: model.separate(mixture, model.sample_rate_hz, options),
        tracks,
        sources=model.sources,
        sample_rate_hz=model.sample_rate_hz,
        model_name=model.name,
        details=details,
        skip=report,
        progress=progress,
    )
    written = evaluation.write(out)
    report(f"Wrote {written[0]}, {written[1]} and {len(written) - 2} files of museval.")
    return evaluation


def evaluation_tracks(data, provenance: dict, model: Separator, report) -> dict:
    """Returns name -> function that reads the sources of each track to evaluate on.

    Raises:
        ValueError: there is no track, or procedural ones lack a source of the model.
    """
    if data is None:
        report("No --data: evaluating on procedural tracks that were not trained on.")
        return procedural_tracks(model)
    found = find_tracks(data, sources=model.sources)
    paths = choose_items(found.train, found.root, provenance, report, word="track", test=found.test)
    return {
        name_below(path, found.root): functools.partial(_read, path, model, report)
        for path in paths
    }


def procedural_tracks(model: Separator) -> dict:
    from tonezoo.recipes.corpus.songs import procedural_stems

    corpus = procedural_stems(
        seed=EVALUATION_SEED,
        tracks=PROCEDURAL_TRACKS,
        track_s=PROCEDURAL_TRACK_S,
        sample_rate_hz=model.sample_rate_hz,
    )
    missing = [s for s in model.sources if any(s not in stems for stems in corpus.values())]
    if missing:
        raise ValueError(
            f"The procedural tracks have no {', '.join(missing)}. Give a folder of tracks with "
            "--data."
        )
    return {name: functools.partial(_fitted, stems, model) for name, stems in corpus.items()}


def name_below(path: Path, root: Path) -> str:
    """Returns the name of a track with the folders below `root`, which may be the track itself."""
    return track_name(Path(path.resolve().name) if path == root else path.relative_to(root))


def _read(path: Path, model: Separator, report) -> dict:
    stems = read_track(
        path,
        sources=model.sources,
        sample_rate_hz=model.sample_rate_hz,
        channels=model.channels,
        report=report,
    )
    return dict(zip(model.sources, stems, strict=True))


def _fitted(stems: dict, model: Separator) -> dict:
    return {s: fit_channels(stems[s], model.channels, s) for s in model.sources}
