"""The manifest of an exported model: what the model is, and a hash of every file."""

import hashlib
import json
import os
from pathlib import Path, PurePosixPath

from tonezoo.pretrained import model_folder
from tonezoo.tasks import find_task

MANIFEST_NAME = "manifest.json"
FORMAT = "tonezoo SavedModel 1"
# What reduced precision may need, and no more: an output that differs by more is another one.
LARGEST_GOLDEN_TOLERANCE = 0.05
# Without these there is no model to load and nothing to verify it by.
NEEDED_FILES = ("saved_model.pb", "golden.npz", "variables/variables.index")


def write_manifest(folder: Path, description: dict) -> None:
    """Writes manifest.json with a hash of every file in the folder, and one of itself."""
    manifest = {
        "format": FORMAT,
        **description,
        "files": {name: file_hash(folder / name) for name in files_below(folder)},
    }
    manifest["manifest_sha256"] = text_hash(manifest_text(manifest))
    (folder / MANIFEST_NAME).write_text(manifest_text(manifest))


def restate_files(folder: Path, **facts: object) -> None:
    """Writes a version's manifest anew for the files that are there now, with further facts.

    For files that were added on purpose; the others have to have been checked before.
    """
    manifest = read_facts(folder)
    kept = {key: manifest[key] for key in manifest.keys() - {"format", "files", "manifest_sha256"}}
    write_manifest(folder, {**kept, **facts})


def files_below(folder: Path) -> list[str]:
    """Returns the names, below a version's folder, of all files in it but the manifest."""
    paths = (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    return [name for name in names if name != MANIFEST_NAME]


def manifest_text(manifest: dict) -> str:
    return json.dumps(manifest, indent=2, sort_keys=True) + "\n"


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(path: Path) -> list[int]:
    """Returns the integer versions in a model's folder, in ascending order."""
    if not path.is_dir():
        return []
    names = [entry.name for entry in path.iterdir() if entry.is_dir()]
    # Not "007", which no number gives back.
    return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))


def resolve_version(path: str | os.PathLike) -> Path:
    """Returns the folder of a SavedModel: `path` itself, or the newest version in it.

    Args:
        path: a folder, or the name of a model that comes with tonezoo.

    Raises:
        ValueError: there is no such folder, or no SavedModel of ours in it.
    """
    path = model_folder(path)
    if not path.is_dir():
        raise ValueError(f"{path} is a file, but a model is a folder.")
    if not (path / MANIFEST_NAME).is_file() and (found := versions(path)):
        path = path / str(found[-1])
    if not (path / MANIFEST_NAME).is_file():
        what = "a SavedModel without" if (path / "saved_model.pb").exists() else "a folder without"
        raise ValueError(
            f"{path} is not a tonezoo model: it is {what} {MANIFEST_NAME}. Models come from "
            "`tonezoo export`."
        )
    return path


def read_manifest(folder: Path) -> dict:
    """Returns a model's manifest after checking it and every file in its folder.

    Raises:
        ValueError: names the missing, changed or unlisted file, or a fact that is not usable.
    """
    manifest = read_facts(folder)
    files, present = manifest["files"], files_below(folder)
    for name, expected in files.items():
        _check_file(folder / name, expected)
    unlisted = sorted(set(present) - set(files))
    if unlisted:
        raise ValueError(
            f"{folder} holds {', '.join(unlisted)}, which its manifest does not list: TensorFlow "
            "or TF Serving might load it. Remove it, or copy the whole model folder again."
        )
    return manifest


def read_facts(folder: Path) -> dict:
    """Returns a model's manifest after checking it, but not the files that it lists.

    Raises:
        ValueError: it was changed, or a fact is not usable.
    """
    path = folder / MANIFEST_NAME
    manifest = _read_intact(path)
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{folder} has the format {manifest.get('format')!r}; this tonezoo reads {FORMAT!r}. "
            "Use the tonezoo that exported it, or export it again."
        )
    _check_facts(path, manifest)
    return manifest


def _read_intact(path):
    """Returns the content of a manifest that agrees with its own hash."""
    text = path.read_text(errors="replace")
    try:
        manifest = json.loads(text)
        unsigned = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
        signed = manifest["manifest_sha256"] == text_hash(manifest_text(unsigned))
        intact = signed and text == manifest_text(manifest)
    except (ValueError, KeyError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise ValueError(
            f"{path} was changed since it was written. Export the model again, or copy it again "
            "from where it came from."
        )
    return manifest


def _check_facts(path, manifest):
    """Checks what loading and evaluating go by: `name` becomes that of a folder."""
    if not isinstance(manifest.get("task"), str):
        raise ValueError(f"{path} states no task. Export the model again.")
    find_task(manifest["task"]).facts.read(manifest, path)
    version, name = manifest.get("version"), manifest.get("name")
    if type(version) is not int or not 1 <= version < 2**31:
        raise ValueError(
            f"{path} states version as {version!r}, but it must be a whole number from 1 to "
            f"{2**31 - 1}. Export the model again."
        )
    if not isinstance(name, str) or not name or name != Path(name).name:
        raise ValueError(
            f"{path} states name as {name!r}, but it must be that of a folder. Export the model "
            "again."
        )
    tolerance = manifest.get("golden_tolerance", 0.0)
    if type(tolerance) is not float or not 0 <= tolerance <= LARGEST_GOLDEN_TOLERANCE:
        raise ValueError(
            f"{path} states golden_tolerance as {tolerance!r}, but it must be a number from 0 to "
            f"{LARGEST_GOLDEN_TOLERANCE}. Export the model again."
        )
    files = manifest.get("files")
    if not isinstance(files, dict) or not set(NEEDED_FILES) <= set(files):
        raise ValueError(
            f"{path} does not list the files that every model has, {', '.join(NEEDED_FILES)}, "
            "with their hashes. Export the model again."
        )
    outside = [name for name in files if not _is_below(name)]
    if outside:
        raise ValueError(
            f"{path} lists {outside[0]!r}, which is no file in its folder. Do not use it; export "
            "the model again."
        )


def _is_below(name: str) -> bool:
    """Returns whether a name is that of a file in a folder, whatever system reads it."""
    path = PurePosixPath(name)
    is_plain = name == path.as_posix() and not {"\\", ":"} & set(name)
    return is_plain and bool(path.name) and not path.is_absolute() and ".." not in path.parts


def _check_file(path, expected):
    if not path.is_file():
        raise ValueError(f"{path} is missing. Copy the whole model folder again.")
    if file_hash(path) != expected:
        raise ValueError(
            f"{path} was changed since the export: its SHA-256 differs from the manifest's. "
            "Copy the whole model folder again."
        )
