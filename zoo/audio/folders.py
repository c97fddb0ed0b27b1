"""The audio files of a folder: which are read, and which are left out."""

import collections
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from tonezoo.files import walk_files

AUDIO_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".mp3", ".opus", ".oga", ".aif", ".aiff", ".aifc"),
    *(".wave", ".rf64", ".bw64", ".w64"),
)
# Audio that others write and this package does not read.
FOREIGN_SUFFIXES = (
    *(".m4a", ".m4b", ".aac", ".wma", ".ac3", ".eac3", ".amr", ".ape", ".wv", ".tta", ".mpc"),
    *(".mka", ".weba", ".caf", ".au", ".snd", ".dsf", ".dff", ".mp2", ".spx", ".voc", ".sph"),
)


@dataclass(frozen=True)
class FolderAudio:
    """The audio of a folder.

    Attributes:
        files: what can be read, sorted.
        left_out: a line that counts the audio files that are not read; None where there are none.
    """

    files: list[Path]
    left_out: str | None


def find_audio(
    folder: str | os.PathLike, suffixes: Collection[str] = AUDIO_SUFFIXES
) -> FolderAudio:
    """Returns every audio file in a folder and below, sorted; nothing hidden.

    Links are followed; a folder that is reached twice is taken once.

    Raises:
        ValueError: no folder, or no file in it whose name ends in one of `suffixes`.

    Example:

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("a.wav", "b.OPUS", "c.m4a", "d.wma", "e.m4a", "notes.txt"):
    ...     (folder / name).touch()
    >>> found = find_audio(folder)
    >>> [path.name for path in found.files]
    ['a.wav', 'b.OPUS']
    >>> print(found.left_out)
    3 files of ... are left out (2 .m4a, 1 .wma): ... Convert them ... ffmpeg.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ValueError(
            f"There is no folder {folder}. Give the folder that holds the audio files."
        )
    if not folder.is_dir():
        raise ValueError(
            f"{folder} is a file, but a folder of audio is needed. Give the folder it lies in."
        )
    paths = list(walk_files(folder))
    files = sorted(path for path in paths if is_audio(path, suffixes))
    left_out = left_out_line(paths, folder)
    if not files:
        raise ValueError(
            f"No audio was found in {folder} or below. Files ending in "
            f"{', '.join(suffixes)} are looked for. {left_out or ''}".rstrip()
        )
    return FolderAudio(files, left_out)


def is_audio(path: Path, suffixes: Collection[str] = AUDIO_SUFFIXES) -> bool:
    """Returns whether a file's name says that it is audio which can be read."""
    return path.suffix.lower() in suffixes


def left_out_line(paths: Iterable[Path], folder: Path) -> str | None:
    """Returns a line that counts the files among `paths` of formats that are not read, or None."""
    suffixes = [path.suffix.lower() for path in paths]
    counts = collections.Counter(suffix for suffix in suffixes if suffix in FOREIGN_SUFFIXES)
    if not counts:
        return None
    total = counts.total()
    most_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    counted = ", ".join(f"{count} {suffix}" for suffix, count in most_first)
    what, them = ("1 file", "it") if total == 1 else (f"{total} files", "them")
    return (
        f"{what} of {folder} {'is' if total == 1 else 'are'} left out ({counted}): such audio is "
        f"not read. Convert {them} to WAV or FLAC, for example with ffmpeg."
    )
