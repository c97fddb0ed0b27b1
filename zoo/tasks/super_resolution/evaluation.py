"""Evaluates a run or an exported model on the clips of a folder that it was not trained on."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from tonezoo.analysis.evaluation import DEFAULT_LOW_PASS, Evaluation, evaluate
from tonezoo.audio.resampling import check_low_pass
from tonezoo.files import check_writable
from tonezoo.recipes.data.layouts import DataSplit, find_clips, matches

# Of the procedural clips: far from the small numbers that people give as training seeds.
EVALUATION_SEED = 2**31 - 1

# What `tonezoo train` writes down of the files, in lists of names.
FILE_LISTS = ("train", "test", "hold_out")

# Folders, beside those named by a number, that many corpora have.
COMMON_FOLDERS = {
    *("audio", "clips", "data", "flac", "mp3", "ogg", "recordings", "sounds", "wav", "wavs"),
    *("dev", "eval", "test", "train", "training", "val", "valid", "validation"),
}


def evaluate_model(
    path: str | os.PathLike,
    *,
    data: str | os.PathLike | None = None,
    ratio: int | None = None,
    low_pass: str = DEFAULT_LOW_PASS,
    out: str | os.PathLike | None = None,
    model=None,
    report: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores a model beside the spline and the spline plus noise; writes JSON and Markdown.

    Args:
        path: a run's folder or an exported model's.
        data: folder of audio: its test split where the model's layout names one, else the clips
            that were held out, else all. None for procedural clips.
        ratio: checked against the model's, where given.
        low_pass: filter before the decimation, see `tonezoo.audio.resampling.decimate`.
        out: folder for evaluation.json and evaluation.md; None for the run's folder, or
            evaluations/NAME-VERSION for an exported model. With another low-pass than the default
            the files are named after it, as evaluation_soxr.json: an export takes only the former.
        model: what is loaded from `path`; None to load it.
        report: receives one-line messages.
        progress: called with (clips done, clips).

    Raises:
        ValueError: an unknown low-pass, no model there, no usable clips, or another ratio.
    """
    from tonezoo.serving.export import load

    check_low_pass(low_pass)
    model = load(path) if model is None else model
    if ratio not in (None, model.ratio):
        raise ValueError(
            f"{path} has ratio {model.ratio}, not {ratio}. Leave --ratio out or give {model.ratio}."
        )
    out = output_folder(path, model.name) if out is None else out
    check_writable(out)
    provenance = training_data(path)
    clips = evaluation_clips(data, provenance, model, report)
    evaluation = evaluate_loaded(model, clips, low_pass=low_pass, progress=progress)
    written = evaluation.write(out)
    report(f"Wrote {' and '.join(map(str, written))}.")
    return evaluation


def evaluate_loaded(
    model,
    clips: Mapping[str, np.ndarray],
    *,
    low_pass: str = DEFAULT_LOW_PASS,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Scores a loaded model beside the spline and the spline plus noise; writes nothing.

    Args:
        model: a `tonezoo.tasks.super_resolution.engine.SuperResolver`.
        clips: name and mono samples (time,) at the model's output rate of each clip.
        low_pass: filter before the decimation, see `tonezoo.audio.resampling.decimate`.
        progress: called with (clips done, clips).

    Raises:
        ValueError: as `tonezoo.analysis.evaluation.evaluate`.
    """
    return evaluate(
        lambda low: model.enhance(low, model.low_rate_hz),
        clips,
        ratio=model.ratio,
        sample_rate_hz=model.sample_rate_hz,
        model_name=model.name,
        low_pass=low_pass,
        progress=progress,
    )


def training_data(path: str | os.PathLike) -> dict:
    """Returns what a run or a manifest tells of the training data.

    Raises:
        ValueError: it does not tell what `tonezoo train` writes down.
    """
    from tonezoo.recipes.runs import RunFolder, is_run
    from tonezoo.serving.manifest import read_manifest, resolve_version

    source = RunFolder(path).config if is_run(path) else read_manifest(resolve_version(path))
    data = source.get("data")
    is_told = isinstance(data, dict) and isinstance(data.get("name"), str)
    if not is_told or not all(is_list_of_names(data.get(key)) for key in FILE_LISTS):
        raise ValueError(
            f"{path} does not say what it was trained on (`data`: name, {', '.join(FILE_LISTS)}), "
            "so it cannot be told which clips are new to it. Restore its files, or train again."
        )
    return data


def is_list_of_names(value) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def output_folder(path: str | os.PathLike, model_name: str) -> Path:
    from tonezoo.recipes.runs import is_run

    return Path(path) if is_run(path) else Path("evaluations") / model_name.replace(" ", "-")


def evaluation_clips(data, provenance: dict, model, report) -> dict:
    """Returns name -> signal of the clips to evaluate on."""
    from tonezoo.recipes.corpus.speech import procedural_corpus
    from tonezoo.recipes.data.clips import read_clips

    if data is None:
        report("No --data: evaluating on procedural clips that were not trained on.")
        return procedural_corpus(seed=EVALUATION_SEED, clips=8, sample_rate_hz=model.sample_rate_hz)
    paths, root = choose_files(Path(data), provenance, report)
    report(f"Evaluating on {len(paths)} clips of {data}, from {paths[0].name} to {paths[-1].name}.")
    warn_of_trained_on(paths, root, provenance, report)
    return read_clips(
        paths,
        root=root,
        sample_rate_hz=model.sample_rate_hz,
        ratio=model.ratio,
        report=report,
    )


def warn_of_trained_on(paths: list[Path], root: Path, provenance: dict, report) -> None:
    """Reports it if some of the files below `root` are among those that a model was trained on."""
    seen = trained_on([root.resolve() / path.relative_to(root) for path in paths], provenance)
    if seen:
        report(
            f"Warning: going by names of files and folders, the model was trained on {len(seen)} "
            f"of these {len(paths)} clips, {seen[0]} for one; its figures say little about others. "
            "Train with --hold-out, or evaluate on other files."
        )


def trained_on(paths: Iterable[Path], provenance: dict) -> list[Path]:
    """Returns those of the files that a model was trained on, going by their paths.

    A corpus may have moved since, or be given by another of its folders. Hence a file is taken for
    one that was trained on if its path ends as that does which was recorded (with the training
    folder's name in front), in the file's name and the folders up to the first whose name tells
    corpora apart: not a number, nor one of `COMMON_FOLDERS`. Where that end is also one of another
    recorded file, or no folder has such a name, more of the path has to agree, at most all of it.

    Args:
        paths: the files, absolute.
        provenance: `data` of a run or a manifest.
    """
    train, test = (
        [(provenance["name"], *PurePosixPath(entry).parts) for entry in provenance[key]]
        for key in ("train", "test")
    )
    counts = Counter(end for recorded in (*train, *test) for end in path_ends(recorded))
    known = {
        next((end for end in path_ends(r) if tells_apart(end) and counts[end] == 1), r)
        for r in train
    }
    return [path for path in paths if not known.isdisjoint(path_ends(path.parts))]


def path_ends(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yields the ends of a path that have a folder, the shortest first."""
    for length in range(2, len(parts) + 1):
        yield parts[-length:]


def tells_apart(end: tuple[str, ...]) -> bool:
    return any(not name.isdecimal() and name.lower() not in COMMON_FOLDERS for name in end[:-1])


def choose_files(data: Path, provenance: dict, report) -> tuple[list[Path], Path]:
    """Returns the files to evaluate on, and the folder that they lie in."""
    layout = provenance.get("layout") or "folder"
    everything = find_clips(data, layout="folder")
    if layout != "folder":
        try:
            return list(find_clips(data, layout=layout).test), everything.root
        except ValueError as error:
            report(f"{error} Evaluating on all {len(everything.train)} files.")
            return list(everything.train), everything.root
    return held_out_or_all(everything, provenance), everything.root


def held_out_or_all(everything: DataSplit, provenance: dict) -> list[Path]:
    """Returns what a model's training held out of a folder, all of it where that is nothing."""
    held_out = [
        path
        for path in everything.train
        if any(matches(path.relative_to(everything.root), p) for p in provenance["hold_out"])
    ]
    return held_out or list(everything.train)
