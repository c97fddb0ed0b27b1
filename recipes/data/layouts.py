"""Finds the audio files of a folder and splits them as the published experiments do."""

import fnmatch
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonezoo.audio.folders import find_audio

LAYOUTS = ("folder", "vctk_speaker1", "vctk_speaker99", "piano")

# VCTK 0.80 and 0.92 under their own folder names; 0.92 has two microphones, of which the second is
# missing for some speakers.
VCTK_FOLDERS = {"wav48": "*.wav", "wav48_silence_trimmed": "*_mic1.flac"}
SPEAKER1, SPEAKER1_TRAIN, SPEAKER1_TEST = "p225", 223, 8
SPEAKER99_TRAIN, SPEAKER99_TEST = 99, 10


@dataclass(frozen=True)
class DataSplit:
    """The audio files or tracks of a corpus, split into those to train on and those to test on.

    Attributes:
        train: paths to train on, sorted.
        test: paths to evaluate on, sorted; none of them is in `train`.
        validation: paths to choose weights by, sorted, in neither of them; empty where the layout
            knows none.
        layout: the name of the layout found.
        root: the folder that was searched.
    """

    train: tuple[Path, ...]
    test: tuple[Path, ...]
    layout: str
    root: Path
    validation: tuple[Path, ...] = ()


def find_clips(
    root: str | os.PathLike,
    *,
    layout: str = "auto",
    hold_out: str | Iterable[str] = (),
    report: Callable[[str], None] = print,
) -> DataSplit:
    """Returns the audio files under a folder, split by a layout known by name.

    - `folder`: every file trains, except those held out, which are the test set.
    - `vctk_speaker1`: of speaker p225 the last 8 recordings test, the first 223 of the others
      train (all of them where a release has fewer than 231).
    - `vctk_speaker99`: all recordings of the first 99 speakers train, of the last 10 test.
    - `piano`: the first 88 % of the files train, the last 6 % test; the 6 % between are the
      validation set and in neither.
    - `auto`: `vctk_speaker99` for a complete VCTK corpus, else `folder`.

    VCTK is release 0.80 (`wav48/p225/*.wav`) or 0.92 (`wav48_silence_trimmed/p225/*_mic1.flac`,
    the first microphone only). Files come in the order of their names, hidden ones are left out,
    links are followed.

    Args:
        root: the folder; for VCTK the corpus or its audio folder.
        layout: "auto" or one of the names above.
        hold_out: shell patterns (`*`, `?`, `[...]`, upper and lower case differ). A file is held
            out, hence tested on and not trained on, if one matches its path below `root`, any
            folder of that path, its name, or its name without suffix, however accents are encoded.
        report: called with a line where audio is left out because its format is not read.

    Raises:
        ValueError: no such folder, no audio in it, not the layout asked for, a pattern that
            matches nothing, or nothing left to train on.

    Source: "Adversarial Audio Super-Resolution with Unsupervised Feature Losses", section 4.

    Example:

    >>> import pathlib, tempfile
    >>> root = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("p1/a.wav", "p1/b.WAV", "p2/a.flac", "p2/notes.txt"):
    ...     (root / name).parent.mkdir(exist_ok=True)
    ...     (root / name).touch()
    >>> clips = find_clips(root, hold_out="p2")
    >>> [path.name for path in clips.train], [path.name for path in clips.test], clips.layout
    (['a.wav', 'b.WAV'], ['a.flac'], 'folder')
    """
    if layout not in ("auto", *LAYOUTS):
        raise ValueError(f"Unknown layout {layout!r}. Known: auto, {', '.join(LAYOUTS)}.")
    root = Path(root)
    found = find_audio(root)
    files = found.files
    if found.left_out:
        report(found.left_out)
    speakers = _vctk_speakers(root, files)
    if layout == "auto":
        complete = len(speakers) >= SPEAKER99_TRAIN + SPEAKER99_TEST
        layout = "vctk_speaker99" if complete else "folder"
    if layout.startswith("vctk"):
        files, train, test = _split_vctk(root, speakers, layout)
    elif layout == "piano":
        train, test = files[: len(files) * 88 // 100], files[len(files) * 94 // 100 :]
    else:
        train, test = files, []
    apart = held_out(root, files, (hold_out,) if isinstance(hold_out, str) else hold_out)
    test = sorted(apart.union(test))
    train = sorted(set(train).difference(test))
    if not train:
        raise ValueError(
            f"Nothing is left to train on in {root}: its {len(files)} audio files ({layout} layout)"
            f" are all held out or set apart. Hold out less, or give a folder with more files."
        )
    return DataSplit(train=tuple(train), test=tuple(test), layout=layout, root=root)


def _vctk_speakers(root: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Returns speaker -> recordings of the VCTK corpus at `root`, {} if it is none."""
    candidates = [(root / name, name) for name in VCTK_FOLDERS]
    candidates.append((root, root.absolute().name))
    folder, name = next(
        ((path, name) for path, name in candidates if name in VCTK_FOLDERS and path.is_dir()),
        (None, ""),
    )
    if folder is None:
        return {}
    speakers: dict[str, list[Path]] = {}
    for path in files:
        speaker = path.parent.name
        is_speaker = path.parent.parent == folder and re.fullmatch(r"[ps]\d+", speaker)  # p225, s5
        if is_speaker and fnmatch.fnmatchcase(path.name, VCTK_FOLDERS[name]):
            speakers.setdefault(speaker, []).append(path)
    return speakers


def _split_vctk(
    root: Path, speakers: dict[str, list[Path]], layout: str
) -> tuple[list[Path], list[Path], list[Path]]:
    """Returns all files that a layout uses, those to train on and those to test on."""
    patterns = " or ".join(f"{name}/<speaker>/{files}" for name, files in VCTK_FOLDERS.items())
    remedy = 'Give the complete corpus, or use layout="folder" and hold out files by pattern.'
    if not speakers:
        raise ValueError(f"{root} is not a VCTK corpus: it has no {patterns}. {remedy}")
    if layout == "vctk_speaker1":
        recordings = speakers.get(SPEAKER1, [])
        if len(recordings) <= SPEAKER1_TEST:
            raise ValueError(
                f"{root} has {len(recordings)} recordings of speaker {SPEAKER1}, but {layout} needs"
                f" {SPEAKER1_TRAIN} to train on and {SPEAKER1_TEST} to test on. {remedy}"
            )
        # Release 0.92 left some recordings out, so a fixed count might refuse it.
        train, test = recordings[:-SPEAKER1_TEST], recordings[-SPEAKER1_TEST:]
        return recordings, train[:SPEAKER1_TRAIN], test
    if len(speakers) < SPEAKER99_TRAIN + SPEAKER99_TEST:
        raise ValueError(
            f"{root} has {len(speakers)} speakers, but {layout} needs {SPEAKER99_TRAIN} to train "
            f"on and {SPEAKER99_TEST} to test on. {remedy}"
        )
    names = sorted(speakers)

    def files_of(chosen: Iterable[str]) -> list[Path]:
        return [path for name in chosen for path in speakers[name]]

    return files_of(names), files_of(names[:SPEAKER99_TRAIN]), files_of(names[-SPEAKER99_TEST:])


def held_out(
    root: Path, files: Sequence[Path], patterns: Iterable[str], kind: str = "audio files"
) -> set[Path]:
    """Returns the files, or what else `kind` says, that any pattern matches."""
    found = set()
    for pattern in patterns:
        matched = [path for path in files if matches(path.relative_to(root), pattern)]
        if not matched:
            some = ", ".join(str(path.relative_to(root)) for path in files[:: len(files) // 3 + 1])
            raise ValueError(
                f"The hold-out pattern {pattern!r} matches none of the {len(files)} {kind} in "
                f"{root}, such as {some}. Match a path, a folder or a name, for example p228 or "
                f"'*_003'."
            )
        found.update(matched)
    return found


def matches(relative: Path, pattern: str) -> bool:
    """Returns whether a pattern matches a path, a part of it, or its name without suffix.

    An é is one character or two, as macOS stores names: here they are the same.

    Example:

    >>> matches(Path("p1/cafe\u0301.wav"), "caf\u00e9"), matches(Path("p1/a.wav"), "p?")
    (True, True)
    """
    candidates = (relative.as_posix(), *relative.parts, relative.stem)
    return any(fnmatch.fnmatchcase(composed(name), composed(pattern)) for name in candidates)


def composed(name: str) -> str:
    """Returns a name with each accented letter as one character, to be compared with others."""
    return unicodedata.normalize("NFC", name)
