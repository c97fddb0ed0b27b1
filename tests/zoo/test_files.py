"""Files and folders that are either complete or absent."""

import errno
import os

import numpy as np
import pytest

from tonezoo.files import (
    TEMPORARY_PREFIX,
    ArrayFile,
    atomic_path,
    check_writable,
    remove_leftovers,
    remove_older,
)


def test_file_takes_its_name_at_the_end(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with atomic_path(target) as path:
        path.write_text("new")
        assert path.suffix == ".txt" and not target.exists()
    assert target.read_text() == "new" and os.listdir(target.parent) == ["a.txt"]


def test_error_keeps_what_was_there(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(target) as path:
        path.write_text("half")
        raise KeyboardInterrupt
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_folder_is_not_replaced(tmp_path):
    with atomic_path(tmp_path / "f", folder=True) as path:
        (path / "x").touch()
    with (
        pytest.raises(ValueError, match="already exists"),
        atomic_path(tmp_path / "f", folder=True),
    ):
        pass
    assert os.listdir(tmp_path / "f") == ["x"]


def test_permissions_follow_the_umask(tmp_path):
    umask = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "f", folder=True):
            pass
        with atomic_path(tmp_path / "a") as path:
            path.touch()
    finally:
        os.umask(umask)
    assert (tmp_path / "f").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_the_umask_is_never_changed(tmp_path, monkeypatch):
    """It is the whole process's: files that other threads make meanwhile would be open to all."""

    def refuse(mask):
        raise AssertionError("the umask was changed")

    monkeypatch.setattr(os, "umask", refuse)
    with atomic_path(tmp_path / "f", folder=True):
        pass
    with atomic_path(tmp_path / "a") as path:
        path.touch()


def test_impossible_places_are_explained(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="Cannot write to"), atomic_path(tmp_path / "file" / "a"):
        pass
    with pytest.raises(ValueError, match="is a folder, but a file"), atomic_path(tmp_path):
        pass


def test_full_disk_is_explained_and_other_errors_pass(tmp_path):
    with pytest.raises(ValueError, match=r"Cannot write .*No space"), atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        (tmp_path / "missing").read_text()
    assert os.listdir(tmp_path) == []


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    (tmp_path / f"{TEMPORARY_PREFIX}x" / "a").mkdir(parents=True)
    (tmp_path / "kept").touch()
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["kept"]


def test_old_files_and_folders_are_removed_whatever_goes_meanwhile(tmp_path, monkeypatch):
    for name in ("a.txt", "b/c.txt", "new/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("a.txt", "b"):
        os.utime(tmp_path / name, (0, 0))
    found = [tmp_path / name for name in ("gone", "a.txt", "b", "new")]
    monkeypatch.setattr(type(tmp_path), "iterdir", lambda folder: iter(found))
    remove_older(tmp_path, 3600)
    assert os.listdir(tmp_path) == ["new"] and os.listdir(tmp_path / "new") == ["c.txt"]


def test_folders_are_checked_without_making_them(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path, tmp_path / "new" / "deep", "new", "."):
        check_writable(folder)
    for folder, reason in [
        (tmp_path / "file", "it is a file"),
        (tmp_path / "file" / "x", "Not a directory"),
        ("/proc/none", "No such file"),
        (tmp_path / ("x" * 300), "File name too long"),
    ]:
        with pytest.raises(ValueError, match=f"Cannot write to the folder {folder}: {reason}"):
            check_writable(folder)
    assert os.listdir(tmp_path) == ["file"] and not os.path.exists("new")


def test_damaged_arrays_are_explained(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(1000), b=np.zeros(3), pickled=np.array([{}], dtype=object))
    with ArrayFile(path, "Copy it again.") as arrays:
        assert sorted(arrays.names) == ["a", "b", "pickled"]
        assert arrays["a"][7] == 7 and arrays.get("b").shape == (3,) and arrays.get("c") is None
        for name in ("pickled", "c"):
            with pytest.raises(ValueError, match=r"a\.npz is damaged.*Copy it again"):
                arrays[name]
    whole = path.read_bytes()
    single = tmp_path / "single.npy"
    np.save(single, np.zeros(3))
    flipped = bytearray(whole)
    flipped[whole.index(b"a.npy") + 1000] ^= 1
    for content in (b"", b"text", whole[:-30], whole[1:], flipped, single.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ValueError) as caught, ArrayFile(path, "Copy it again.") as arrays:
            arrays["a"]
        assert str(path) in str(caught.value) and "Copy it again." in str(caught.value)
