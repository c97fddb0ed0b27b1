"""Decoded clips in files of our own, complete or absent, that later runs map into memory."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tonezoo.files import atomic_path
from tonezoo.recipes.data.decoding import decode_clips

FORMAT = 1
# At a ratio of 1 the second would hold what the first one does.
FILES = ("high.f32", "low.f32")


def cached_clips(
    cache_dir: str | os.PathLike,
    paths: Sequence[Path],
    *,
    sample_rate_hz: int,
    ratio: int,
    report: Callable[[str], Any],
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Returns the high- and low-rate signals of all files end to end, and the low-rate lengths.

    They are decoded into a subfolder of `cache_dir` named after a hash of the paths, sizes and
    modification times of the files, the rate and the ratio; if that is there and complete, nothing
    is decoded. The signals are written to a temporary name and renamed, so that a killed run leaves
    nothing that a later one would take for complete; of two runs at once, both use what the first
    to finish has written. Subfolders no longer needed can be deleted.

    Args:
        cache_dir: created if needed.
        paths, sample_rate_hz, ratio: as for `decode_clips`.
        report: called with one line for each file that is, or was, skipped.

    Returns:
        memory-mapped float32 (ratio * time,), memory-mapped float32 (time,), samples of each clip.

    Raises:
        ValueError: no file can be used, or the folder cannot be written.
    """
    folder = Path(cache_dir) / f"clips-{_key(paths, sample_rate_hz, ratio)}"
    index = _read_index(folder, ratio)
    if index is not None:
        for line in index["skipped"]:
            report(line)
    else:
        index = _write_or_share(folder, paths, sample_rate_hz, ratio, report)
    signals = [np.memmap(folder / name, "float32", "r") for name in file_names(ratio)]
    return signals[0], signals[-1], index["lengths"]


def file_names(ratio: int) -> tuple[str, ...]:
    """Returns the names of the files of the high-rate and, unless it is the same, the low rate."""
    return FILES if ratio > 1 else FILES[:1]


def _key(paths: Sequence[Path], sample_rate_hz: int, ratio: int) -> str:
    files = []
    for path in paths:
        try:
            status = path.stat()
            files.append([str(path.absolute()), status.st_size, status.st_mtime_ns])
        except OSError:  # reported when it is decoded
            files.append([str(path.absolute()), None, None])
    text = json.dumps([FORMAT, sample_rate_hz, ratio, files])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_index(folder: Path, ratio: int) -> dict | None:
    """Returns what `_write` noted, None unless the files are as long as it says."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        samples = sum(index["lengths"])
        sizes = [(folder / name).stat().st_size for name in file_names(ratio)]
    except (OSError, ValueError, KeyError):
        return None
    return index if sizes == [4 * ratio * samples, 4 * samples][: len(sizes)] else None


def _write_or_share(folder, paths, sample_rate_hz, ratio, report) -> dict:
    """Returns the index of the folder, written here or by another run in the meantime."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return _write(folder, paths, sample_rate_hz, ratio, report)
    except (OSError, ValueError) as error:
        index = _read_index(folder, ratio)
        if index is not None:
            return index
        if isinstance(error, ValueError):
            raise
        raise ValueError(
            f"Cannot write the decoded audio to {folder}: {error.strerror}. "
            f"Choose another cache folder."
        ) from error


def _write(folder: Path, paths: Sequence[Path], sample_rate_hz: int, ratio: int, report) -> dict:
    index = {"lengths": [], "skipped": []}

    def skip(line):
        index["skipped"].append(line)
        report(line)

    clips = decode_clips(paths, sample_rate_hz=sample_rate_hz, ratio=ratio, report=skip)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(atomic_path(folder, folder=True))
        names = file_names(ratio)
        files = [stack.enter_context(open(temporary / name, "wb")) for name in names]
        for pair in clips:
            for signal, file in zip(pair, files, strict=False):
                file.write(signal.astype("<f4").tobytes())
            index["lengths"].append(len(pair[1]))
        (temporary / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return index
