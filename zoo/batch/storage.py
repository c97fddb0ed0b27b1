"""Files on this machine's file system, or on one of those that Beam knows, gs:// for instance."""

import contextlib
import dataclasses
import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from tonezoo.files import TEMPORARY_PREFIX, atomic_path

STORED = "<f4"


def is_remote(path: str) -> bool:
    """Returns whether a path begins with a scheme, such as gs://.

    Example:

    >>> is_remote("gs://bucket/a.wav"), is_remote("/data/a.wav")
    (True, False)
    """
    return FileSystems.get_scheme(path) is not None


def absolute(path: str) -> str:
    """Returns a path of this file system from its root on; others as they are."""
    return path if is_remote(path) else os.path.abspath(path)


def join(folder: str, *names: str) -> str:
    """Returns the path of something in a folder, on whatever file system it is."""
    return FileSystems.join(folder, *names)


def matching(pattern: str) -> list[str]:
    """Returns the files that match a pattern, sorted; here, nothing hidden."""
    if is_remote(pattern):
        return sorted(file.path for file in FileSystems.match([pattern])[0].metadata_list)
    return sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))


def exists(path: str) -> bool:
    return FileSystems.exists(path)


def open_to_read(path: str):
    # Beam would unpack what is called .gz.
    return FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)


def open_to_write(path: str):
    return FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED)


def delete(path: str) -> None:
    """Removes a file."""
    # Beam would take brackets in a name for wildcards.
    if is_remote(path):
        FileSystems.delete([path])
    else:
        os.unlink(path)


def remove(folder: str) -> None:
    """Removes a folder with all that is in it, if it is there."""
    if not is_remote(folder):
        shutil.rmtree(folder, ignore_errors=True)
    elif files := matching(join(glob.escape(folder), "**")):
        FileSystems.delete(files)


def write_whole(path: str, source: BinaryIO) -> None:
    """Writes a file that appears with all of its content, in place of one of that name."""
    if not is_remote(path):
        with atomic_path(path) as whole, open(whole, "wb") as file:
            shutil.copyfileobj(source, file)
        return
    folder, name = FileSystems.split(path)
    temporary = join(folder, f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}-{name}")
    with open_to_write(temporary) as file:
        shutil.copyfileobj(source, file)
    if exists(path):
        # Some file systems rename nothing onto a file.
        delete(path)
    FileSystems.rename([temporary], [path])


def remove_leftovers(root: str, folders: Collection[str]) -> None:
    """Removes what a killed `write_whole` left in some of the remote folders below `root`."""
    leftovers = []
    # One listing of all: an output may be a folder, so that there are as many of them as of files.
    for file in matching(join(glob.escape(root), "**")):
        folder, name = FileSystems.split(file)
        if name.startswith(TEMPORARY_PREFIX) and folder in folders:
            leftovers.append(file)
    if leftovers:
        FileSystems.delete(leftovers)


@dataclasses.dataclass(frozen=True)
class StoredArray:
    """A float32 array in a file of its own, its numbers alone."""

    path: str
    shape: tuple[int, ...]

    def read(self) -> np.ndarray:
        with open_to_read(self.path) as file:
            return np.frombuffer(file.read(), STORED).reshape(self.shape)


def store(folder: str, name: str, array: np.ndarray) -> StoredArray:
    """Writes an array to a file.

    Beam may do a piece of work twice, at the same time too: each time under another name.
    """
    path = join(folder, f"{name}-{secrets.token_hex(4)}")
    with open_to_write(path) as file:
        file.write(np.ascontiguousarray(array, STORED).data)
    return StoredArray(path, array.shape)


@contextlib.contextmanager
def local_copy(path: str) -> Iterator[Path]:
    """Yields a file, or a folder, as one on this machine: itself, or a copy for the time being."""
    if not is_remote(path):
        yield Path(path)
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as folder:
        yield fetch(path, Path(folder))


def fetch(path: str, folder: Path) -> Path:
    """Copies a remote file, or a remote folder with all that is in it, into a folder.

    Raises:
        ValueError: there is neither.
    """
    path = path.rstrip("/")
    target = folder / path.rpartition("/")[2]
    files = [path] if exists(path) else []
    files = files or matching(join(glob.escape(path), "**"))
    if not files:
        raise ValueError(f"There is no file and no folder {path}.")
    for file in files:
        copy = target / file[len(path) :].lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        with open_to_read(file) as source, open(copy, "wb") as sink:
            shutil.copyfileobj(source, sink)
    return target


@contextlib.contextmanager
def checked_folder(folder: str) -> Iterator[Path]:
    """Yields a folder on this machine to try things in: the folder itself if it is here."""
    if not is_remote(folder):
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory() as empty:
        yield Path(empty)


@contextlib.contextmanager
def output_folder(folder: str) -> Iterator[Path]:
    """Yields a folder of outputs as one on this machine; what is written there arrives in it.

    Files arrive one by one, each of them whole, once all are written.
    """
    if not is_remote(folder):
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX) as made:
        yield Path(made)
        for path in sorted(path for path in Path(made).rglob("*") if path.is_file()):
            with open(path, "rb") as source:
                write_whole(join(folder, path.relative_to(made).as_posix()), source)


@contextlib.contextmanager
def scratch_folder(scratch: str) -> Iterator[Path]:
    """Yields a folder on this machine, removed afterwards: in `scratch`, if that is here."""
    parent = None
    if not is_remote(scratch):
        parent = scratch
        os.makedirs(scratch, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)
