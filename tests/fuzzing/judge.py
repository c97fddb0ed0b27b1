"""What must hold after any command line, however wrong the input."""

import dataclasses
import hashlib
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import soundfile
from fuzzing.cases import Case

LOW_RATE_HZ, RATIO = 4000, 4
MEMORY_LIMIT_MIB = 700
SHORTEST_MESSAGE = 20

# What a program says that was not written for a person.
BETRAYALS = {
    "traceback": r"Traceback \(most recent call last\)|^  File \".*\", line \d+",
    "raw exception": r"\b[A-Z]\w*(?:Error|Exception)\b(?! \(Ctrl)|\[Errno ",
    "Python's words": r"object has no attribute|NoneType|not subscriptable|unsupported operand|"
    r"<class '|not iterable|unhashable|positional argument|keyword argument|list indices|dtype\(",
    "warning of a library": r"\.(?:py|cc):\d+: ",
    "runs out of memory": r"Unable to allocate|MemoryError|OOM when|ResourceExhausted|bad_alloc",
    "output without end": r"File too large",
}
SUMMARY = r"(\d+) of (\d+) files enhanced"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that has run: exit code, both outputs, time and growth of the peak of memory."""

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    memory_mib: float


def problems(case: Case, finished: Finished, before: dict, after: dict) -> list[str]:
    """Returns what is wrong, one line each; `before` and `after` are snapshots of the folder."""
    text = plain(finished.stdout + finished.stderr)
    found = [
        f"{name}: {match.group()!r}"
        for name, pattern in BETRAYALS.items()
        if (match := re.search(pattern, _without_names(case, text), re.MULTILINE))
    ]
    if finished.exit_code not in (0, 1, 2):
        found.append(f"exit code {finished.exit_code}")
    if finished.exit_code and len(explanation(text)) < SHORTEST_MESSAGE:
        found.append(f"exit code {finished.exit_code} without an explanation")
    if not finished.exit_code and re.search(r"^(error|failed): ", text, re.MULTILINE):
        found.append("exit code 0 with an error message")
    if finished.memory_mib > MEMORY_LIMIT_MIB:
        found.append(f"memory grew by {finished.memory_mib:.0f} MiB")
    changed = sorted(path for path in before | after if before.get(path) != after.get(path))
    if is_usage(text):  # the parser refused the command line, or was asked for help
        return found + _nothing_changed(case, finished, changed, after, text)
    judge = {"enhance": _enhance_problems, "evaluate": _evaluate_problems}
    found += judge.get(case.words[0], _nothing_changed)(case, finished, changed, after, text)
    return found


def snapshot(folder: Path) -> dict[Path, str]:
    """Returns a description of everything below a folder: type, and content of regular files."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in folders:
            found[Path(parent, name)] = "folder"
        for name in files:
            path = Path(parent, name)
            if path.is_symlink():
                found[path] = f"link to {os.readlink(path)}"
            elif not path.is_file():
                found[path] = "special"
            else:
                with open(path, "rb") as file:
                    found[path] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def plain(text: str) -> str:
    """Returns a terminal's text without its escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\", "", text)


def is_usage(text: str) -> bool:
    """Tells whether the parser of the command line spoke: with its usage, or its error alone."""
    return "Usage:" in text or "─ Error ─" in text


def explanation(text: str) -> str:
    """Returns the error messages of a run, or what the parser of the command line said."""
    told = re.findall(r"^(?:error|failed): (.*)", text, re.MULTILINE)
    return "\n".join(told) or (text if is_usage(text) else "")


def _without_names(case, text):
    """File names in messages may hold anything."""
    names = {*case.words, *(Path(word).name for word in case.words)}
    for name in sorted(names, key=len, reverse=True):
        if len(name) > 3:
            text = text.replace(name, "NAME")
    return text


def _nothing_changed(case, finished, changed, after, text):
    return [f"changed {path}" for path in changed]


def _evaluate_problems(case, finished, changed, after, text):
    written = [path for path in changed if after.get(path) != "folder"]
    found = [
        f"wrote {path}"
        for path in written
        if path.name not in ("evaluation.json", "evaluation.md") or path not in after
    ]
    if not finished.exit_code and len(written) != 2:
        found.append(f"{len(written)} files written, not 2")
    if finished.exit_code and changed:
        found.append(f"failed, but changed {[str(path) for path in changed]}")
    for path in written:
        if path.name == "evaluation.json" and path in after:
            json.loads(path.read_text())
    return found


def _enhance_problems(case, finished, changed, after, text):
    outputs = [path for path in changed if after.get(path) != "folder"]
    found = []
    for path in outputs:
        if path.suffix not in (".wav", ".flac", ".ogg") or path not in after:
            found.append(f"wrote or removed {path}")
        else:
            found += _output_problems(case, path)
    summary = re.search(SUMMARY, text)
    done, total = map(int, summary.groups()) if summary else (0, 1)
    if len(outputs) != done:
        found.append(f"{done} files enhanced, but {len(outputs)} written")
    if finished.exit_code != int(done < total):
        found.append(f"exit code {finished.exit_code} with {done} of {total} files enhanced")
    stems = {path.stem for path in outputs}
    collision = "would both be written" in text or "would be overwritten" in text
    for path in case.must_pass:
        if path.stem not in stems and not collision:
            found.append(f"{path.name!r} is intact, but was not enhanced")
    return found


def _output_problems(case, path):
    """Checks that an output is whole, and as long as its input asks for."""
    try:
        frames, rate_hz, finite = read_whole(path)
    except soundfile.SoundFileError as error:
        return [f"{path} cannot be read: {error}"]
    found = [] if rate_hz == RATIO * LOW_RATE_HZ else [f"{path} has {rate_hz} Hz"]
    if not finite:
        found.append(f"{path} holds samples that are not finite")
    sources = [source for source in case.inputs if source.path.stem == path.stem]
    if len(sources) == 1:
        found += _length_problems(sources[0], frames)
    return found


def _length_problems(source, frames):
    # Of a damaged MP3 file libsndfile guesses the length, where it finds a frame at all; of RF64 it
    # believes any size.
    is_odd = any(format in source.description for format in ("MP3", "RF64"))
    is_guessed = source.frames is None and is_odd
    try:
        read, rate_hz, _ = read_whole(source.path)
    except soundfile.SoundFileError as error:
        if is_guessed:
            return []
        return [f"enhanced, but libsndfile cannot read the input: {error}"]
    if not read and source.frames is None:
        return []  # libsndfile takes the size 0 of a WAV file that was never closed literally.
    if source.frames is not None and read != source.frames:
        return [f"the input has {read} samples, written were {source.frames}"]
    if abs(rate_hz - LOW_RATE_HZ) <= 1:  # taken as it is
        low, tolerance = read, 0
    else:
        low, tolerance = read * LOW_RATE_HZ / rate_hz, 1
    is_longer = frames / RATIO > low + tolerance
    if frames % RATIO or frames / RATIO < low - tolerance or (is_longer and not is_guessed):
        return [f"{read} samples at {rate_hz} Hz became {frames}"]
    return []


def _untagged_ogg(path: Path) -> io.BytesIO | None:
    """Returns the Ogg file behind an ID3 tag: libsndfile refuses the two together, we do not."""
    with path.open("rb") as file:
        if file.read(3) != b"ID3":
            return None
    _, start, stream = path.read_bytes().partition(b"OggS")
    return io.BytesIO(start + stream) if stream else None


def read_whole(path: Path) -> tuple[int, int, bool]:
    """Reads a file to its end; returns its samples per channel, rate in Hz, and if all are finite.

    In blocks, because what the header tells may be false.
    """
    frames, finite = 0, True
    # As bytes: soundfile encodes a name, and not every one is text.
    with soundfile.SoundFile(_untagged_ogg(path) or os.fsencode(path)) as file:
        while len(block := file.read(65_536, dtype="float32", always_2d=True)):
            frames += len(block)
            finite = finite and bool(np.isfinite(block).all())
        return frames, file.samplerate, finite
