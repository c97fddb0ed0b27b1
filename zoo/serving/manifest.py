"""The manifest of an exported model: what the model is, and a hash of every file."""

import hashlib
import json
import os
from pathlib import Path

from tonezoo.pretrained import model_folder

MANIFEST_NAME = "manifest.json"
FORMAT = "tonezoo SavedModel 1"
# What inference goes by, and the least that each can be.
WHOLE_NUMBERS = {"sample_rate_hz": 1, "grid_samples": 1, "context_samples": 0, "version": 1}
TASK_WHOLE_NUMBERS = {
    "super_resolution": {"ratio": 1},
    "separation": {"channels": 1, "segment_samples": 1},
}
# Of models that were exported before there was another.
FIRST_TASK = "super_resolution"


def write_manifest(folder: Path, description: dict) -> None:
    """Writes manifest.json with a hash of every file in the folder, and one of itself."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        **description,
        "files": {path.relative_to(folder).as_posix(): file_hash(path) for path in files},
    }
    manifest["manifest_sha256"] = text_hash(manifest_text(manifest))
    (folder / MANIFEST_NAME).write_text(manifest_text(manifest))


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
    """Returns a model's manifest after checking it and every file that it lists.

    Raises:
        ValueError: names the missing or changed file, or a fact that is no usable number.
    """
    manifest = read_facts(folder)
    for name, expected in manifest["files"].items():
        _check_file(folder / name, expected)
    return manifest


def read_facts(folder: Path) -> dict:
    """Returns a model's manifest after checking it, but not the files that it lists.

    Raises:
        ValueError: it was changed, or a fact is no usable number.
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
    task = manifest.setdefault("task", FIRST_TASK)
    if task not in TASK_WHOLE_NUMBERS:
        raise ValueError(
            f"{path} states task as {task!r}, but this tonezoo knows "
            f"{', '.join(TASK_WHOLE_NUMBERS)}. Use the tonezoo that exported it."
        )
    for fact, least in {**WHOLE_NUMBERS, **TASK_WHOLE_NUMBERS[task]}.items():
        value = manifest.get(fact)
        if type(value) is not int or not least <= value < 2**31:
            raise ValueError(
                f"{path} states {fact} as {value!r}, but it must be a whole number from {least} to "
                f"{2**31 - 1}. Export the model again."
            )
    name = manifest.get("name")
    if not isinstance(name, str) or not name or name != Path(name).name:
        raise ValueError(
            f"{path} states name as {name!r}, but it must be that of a folder. Export the model "
            "again."
        )
    sources = manifest.get("sources")
    are_names = isinstance(sources, list) and all(isinstance(name, str) for name in sources)
    if task == "separation" and not (are_names and sources):
        raise ValueError(
            f"{path} states sources as {sources!r}, but they must be names. Export the model again."
        )
    if not isinstance(manifest.get("files"), dict):
        raise ValueError(f"{path} lists no files with their hashes. Export the model again.")


def _check_file(path, expected):
    if not path.is_file():
        raise ValueError(f"{path} is missing. Copy the whole model folder again.")
    if file_hash(path) != expected:
        raise ValueError(
            f"{path} was changed since the export: its SHA-256 differs from the manifest's. "
            "Copy the whole model folder again."
        )
