"""Files and folders that are either complete or absent."""

import collections
import contextlib
import errno
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TEMPORARY_PREFIX = ".tonezoo-"
FULL_DISK = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike, *, folder: bool = False) -> Iterator[Path]:
    """Yields a temporary path beside `target` that takes its name only if the block succeeds.

    The parent folder is created. On any error, an interrupt included, the temporary file or folder
    is removed and `target` is as it was before. A file that exists is replaced; a folder is not.

    Args:
        target: the final path.
        folder: True to yield an empty folder, False to yield the path of a file to be written. The
            file keeps the suffix of `target`, by which audio writers choose a format.

    Raises:
        ValueError: `target` cannot be created there, or the disk is full, with the reason.

    Example:

    >>> import pathlib, tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_path(target) as path:
    ...     _ = path.write_text("done")
    >>> target.read_text()
    'done'
    """
    target = Path(target)
    if folder and target.exists():
        raise ValueError(f"{target} already exists. Choose another name or remove it first.")
    if not folder and target.is_dir():
        raise ValueError(f"{target} is a folder, but a file is to be written there.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Not mkdtemp, which makes private folders: the result follows the umask like any other.
        temporary = target.parent / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        temporary.mkdir()
    except OSError as error:
        raise ValueError(f"Cannot write to {target}: {error.strerror}.") from error
    try:
        inner = temporary / target.name
        if folder:
            inner.mkdir()
        yield inner
        os.replace(inner, target)
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        raise ValueError(f"Cannot write {target}: {error.strerror}. Make room first.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_writable(folder: str | os.PathLike) -> None:
    """Checks that files can be written to a folder, which need not exist yet; creates nothing.

    Raises:
        ValueError: they cannot, with the reason.
    """
    folder = Path(folder)
    try:
        for existing in (folder, *folder.parents):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.stat(existing)
                break
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = "it is a file" if os.path.isfile(folder) else error.strerror
        raise ValueError(f"Cannot write to the folder {folder}: {reason}.") from error


def walk_files(folder: str | os.PathLike) -> Iterator[Path]:
    """Yields every file in a folder and below, unsorted; nothing hidden, no pipe and no device.

    Links are followed. A folder that is reached twice, as in a loop, is taken once, by the path
    without links to folders where there is one.

    Example:

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "a").mkdir()
    >>> (folder / "a" / "b.txt").touch()
    >>> (folder / "a" / "loop").symlink_to(folder)
    >>> [path.relative_to(folder).as_posix() for path in walk_files(folder)]
    ['a/b.txt']
    """
    seen, folders, links = set(), collections.deque([Path(folder)]), collections.deque()
    while folders or links:
        current = folders.popleft() if folders else links.popleft()
        status = os.stat(current)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except PermissionError:
            continue
        for entry in entries:
            path = current / entry.name
            with contextlib.suppress(OSError):  # a link that leads round in a circle
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(path)
                elif entry.is_file():
                    yield path


class ArrayFile:
    """An .npz file open for reading, whose damage becomes an error for people; a context manager.

    Arrays are read when they are taken.

    Args:
        path: the file.
        remedy: a sentence for the message: what to do if the file is damaged.

    Raises:
        ValueError: the file, or an array that is taken, is missing or damaged.

    Example:

    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "a.npz"
    >>> np.savez(path, ones=np.ones(2))
    >>> with ArrayFile(path, "Make it again.") as arrays:
    ...     print(arrays.names, arrays["ones"], arrays.get("zeros"))
    ['ones'] [1. 1.] None
    """

    def __init__(self, path: str | os.PathLike, remedy: str):
        self._path, self._remedy = path, remedy
        with self._explained():
            self._arrays = np.load(path)
            self.names: list[str] = self._arrays.files

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._arrays.close()

    def __getitem__(self, name: str) -> np.ndarray:
        with self._explained():
            return self._arrays[name]

    def get(self, name: str) -> np.ndarray | None:
        return self[name] if name in self.names else None

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        # What NumPy and zipfile raise for a damaged file has no common base class.
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"{self._path} is damaged or not ours ({reason}). {self._remedy}"
            ) from error


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary folders that killed processes left in a folder."""
    for leftover in folder.glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def remove_older(folder: Path, age_s: float) -> None:
    """Removes from a folder the files and folders that have not been changed for so many seconds.

    Example:

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "new.txt").touch()
    >>> (folder / "old.txt").touch()
    >>> os.utime(folder / "old.txt", (0, 0))
    >>> remove_older(folder, 60)
    >>> [path.name for path in folder.iterdir()]
    ['new.txt']
    """
    for path in folder.iterdir():
        # What others remove at the same time is gone as well.
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime <= age_s:
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
