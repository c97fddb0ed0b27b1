"""Files and folders that are either complete or absent."""

import errno
import os

import pytest

from tonezoo.files import TEMPORARY_PREFIX, atomic_path, remove_leftovers


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
