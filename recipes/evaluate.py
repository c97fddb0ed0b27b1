"""Evaluates a run or an exported model on the clips of a folder that it was not trained on."""

import os
from collections.abc import Callable
from pathlib import Path

from tonezoo.files import check_writable
from tonezoo.recipes.layouts import find_clips, matches

# Of the procedural clips: far from the small numbers that people give as training seeds.
EVALUATION_SEED = 2**31 - 1


def evaluate_model(
    path: str | os.PathLike,
    *,
    data: str | os.PathLike | None = None,
    ratio: int | None = None,
    low_pass: str = "chebyshev",
    out: str | os.PathLike | None = None,
    report: Callable[[str], None] = print,
    progress: Callable[[int, int], None] | None = None,
):
    """Scores a model beside the spline and the spline plus noise; writes JSON and Markdown.

    Args:
        path: a run's folder or an exported model's.
        data: folder of audio: its test split where the model's layout names one, else the clips
            that were held out, else all. None for procedural clips.
        ratio: checked against the model's, where given.
        low_pass: filter before the decimation, see `tonezoo.resampling.decimate`.
        out: folder for evaluation.json and evaluation.md; None for the run's folder, or
            evaluations/NAME-VERSION for an exported model.
        report: receives one-line messages.
        progress: called with (clips done, clips).

    Returns:
        A `tonezoo.analysis.evaluation.Evaluation`.

    Raises:
        ValueError: no model there, no usable clips, another ratio, or an unknown low-pass.
    """
    from tonezoo.analysis.evaluation import evaluate
    from tonezoo.export import load

    model = load(path)
    if ratio not in (None, model.ratio):
        raise ValueError(
            f"{path} has ratio {model.ratio}, not {ratio}. Leave --ratio out or give {model.ratio}."
        )
    out = output_folder(path, model.name) if out is None else out
    check_writable(out)
    provenance = training_data(path)
    clips = evaluation_clips(data, provenance, model, report)
    evaluation = evaluate(
        lambda low: model.enhance(low, model.low_rate_hz),
        clips,
        ratio=model.ratio,
        sample_rate_hz=model.sample_rate_hz,
        model_name=model.name,
        low_pass=low_pass,
        progress=progress,
    )
    evaluation.write(out)
    return evaluation


def training_data(path: str | os.PathLike) -> dict:
    """Returns what a run or a manifest tells of the training data.

    Raises:
        ValueError: it does not tell what `tonezoo train` writes down.
    """
    from tonezoo.manifest import read_manifest, resolve_version
    from tonezoo.recipes.runs import RunFolder, is_run

    source = RunFolder(path).config if is_run(path) else read_manifest(resolve_version(path))
    data = source.get("data")
    is_told = isinstance(data, dict) and isinstance(data.get("name"), str)
    if not is_told or not all(is_list_of_names(data.get(key)) for key in ("train", "hold_out")):
        raise ValueError(
            f"{path} does not say what it was trained on (`data`: name, train, hold_out), so it "
            "cannot be told which clips are new to it. Restore its files, or train again."
        )
    return data


def is_list_of_names(value) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def output_folder(path: str | os.PathLike, model_name: str) -> Path:
    from tonezoo.recipes.runs import is_run

    return Path(path) if is_run(path) else Path("evaluations") / model_name.replace(" ", "-")


def evaluation_clips(data, provenance: dict, model, report) -> dict:
    """Returns name -> signal of the clips to evaluate on."""
    from tonezoo.recipes.clips import read_clips
    from tonezoo.recipes.corpus import procedural_corpus

    if data is None:
        report("No --data: evaluating on procedural clips that were not trained on.")
        return procedural_corpus(seed=EVALUATION_SEED, clips=8, sample_rate_hz=model.sample_rate_hz)
    paths, root = choose_files(Path(data), provenance, report)
    trained = set(provenance["train"]) if root.resolve().name == provenance["name"] else set()
    seen = sum(path.relative_to(root).as_posix() in trained for path in paths)
    if seen:
        report(
            f"Warning: the model was trained on {seen} of these {len(paths)} clips; its figures "
            "say little about others. Train with --hold-out, or evaluate on other files."
        )
    return read_clips(
        paths,
        root=root,
        sample_rate_hz=model.sample_rate_hz,
        ratio=model.ratio,
        report=report,
    )


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
    held_out = [
        path
        for path in everything.train
        if any(matches(path.relative_to(everything.root), p) for p in provenance["hold_out"])
    ]
    return held_out or list(everything.train), everything.root
