"""What evaluations have in common: which files are new to a model, and where the scores go."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tonezoo.recipes.data.layouts import find_clips, matches

# Of procedural data: far from the small numbers that people give as training seeds.
EVALUATION_SEED = 2**31 - 1
PROCEDURAL_CLIPS = 8

# What `tonezoo train` writes down of the files, in lists of names.
FILE_LISTS = ("train", "test", "hold_out")

# Folders, beside those named by a number, that many corpora have.
COMMON_FOLDERS = {
    *("audio", "clips", "data", "flac", "mp3", "ogg", "recordings", "sounds", "wav", "wavs"),
    *("dev", "eval", "test", "train", "training", "val", "valid", "validation"),
}


def output_folder(
    path: str | os.PathLike, model_name: str, out: str | os.PathLike | None = None
) -> Path:
    """Returns the folder for the scores of what is at a path, after checking it.

    Args:
        path: a run's folder, which keeps its scores, or an exported model's.
        model_name: of an exported model, whose scores go to evaluations/NAME-VERSION.
        out: another folder to take instead.

    Raises:
        ValueError: it is a file or cannot be written to.
    """
    from tonezoo.files import check_writable
    from tonezoo.recipes.runs import is_run

    if out is None:
        out = path if is_run(path) else Path("evaluations") / model_name.replace(" ", "-")
    check_writable(out)
    return Path(out)


def evaluation_clips(
    data: str | os.PathLike | None,
    provenance: dict,
    *,
    sample_rate_hz: int,
    ratio: int,
    report: Callable[[str], None],
) -> dict[str, np.ndarray]:
    """Returns name -> mono signal (time,) of the clips to evaluate on, see `choose_items`.

    Args:
        data: folder of audio; None for procedural clips.
        provenance: `data` of a run or a manifest.
        sample_rate_hz: of the signals.
        ratio: their length is a multiple of it.
        report: receives one-line messages.
    """
    from tonezoo.recipes.corpus.speech import procedural_corpus
    from tonezoo.recipes.data.clips import read_clips

    if data is None:
        report("No --data: evaluating on procedural clips that were not trained on.")
        return procedural_corpus(
            seed=EVALUATION_SEED, clips=PROCEDURAL_CLIPS, sample_rate_hz=sample_rate_hz
        )
    everything = find_clips(Path(data), layout="folder")
    test = layout_test_clips(everything, provenance.get("layout") or "folder", report)
    paths = choose_items(
        everything.train, everything.root, provenance, report, word="clip", test=test
    )
    return read_clips(
        paths,
        root=everything.root,
        sample_rate_hz=sample_rate_hz,
        ratio=ratio,
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


def choose_items(
    items: Sequence[Path],
    root: Path,
    provenance: dict,
    report: Callable[[str], None],
    *,
    word: str,
    test: Sequence[Path] = (),
) -> list[Path]:
    """Returns the clips or tracks of a folder to evaluate on, and reports which they are.

    The test part of a known layout, else what the model's training held out, else all. A warning
    tells of those that it was trained on.

    Args:
        items: all that there are, sorted.
        root: the folder that they lie in.
        provenance: `data` of a run or a manifest.
        report: receives one-line messages.
        word: what an item is called, such as "clip".
        test: the test part, where the layout names one.
    """
    held_out = [
        path
        for path in items
        if any(matches(path.relative_to(root), pattern) for pattern in provenance["hold_out"])
    ]
    chosen = list(test) or held_out or list(items)
    report(
        f"Evaluating on {len(chosen)} {word}{'s' if len(chosen) > 1 else ''} of {root}, from "
        f"{chosen[0].name} to {chosen[-1].name}."
    )
    seen = trained_on([root.resolve() / path.relative_to(root) for path in chosen], provenance)
    if seen:
        report(
            f"Warning: going by names of files and folders, the model was trained on {len(seen)} "
            f"of these {len(chosen)} {word}s, {seen[0]} for one; its figures say little about "
            "others. Train with --hold-out, or evaluate on other files."
        )
    return chosen


def training_data(path: str | os.PathLike) -> dict:
    """Returns what a run or a manifest tells of the training data.

    Raises:
        ValueError: it does not tell what `tonezoo train` writes down.
    """
    from tonezoo.recipes.runs import RunFolder, is_run
    from tonezoo.serving.manifest import read_manifest, resolve_version

    source = RunFolder(path).config if is_run(path) else read_manifest(resolve_version(path))
    data: Any = source.get("data")
    is_told = isinstance(data, dict) and isinstance(data.get("name"), str)
    if not is_told or not all(is_list_of_names(data.get(key)) for key in FILE_LISTS):
        raise ValueError(
            f"{path} does not say what it was trained on (`data`: name, {', '.join(FILE_LISTS)}), "
            "so it cannot be told which clips are new to it. Restore its files, or train again."
        )
    return data


def is_list_of_names(value) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


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
