"""Exported models and training runs to fuzz with: damaged files, and false ones in good order."""

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np

from tonezoo.serving.manifest import MANIFEST_NAME, manifest_text, text_hash, write_manifest

VALUES = (
    *(None, True, "", "4", "x" * 5000, "/etc", "../..", "\x00", "mu_gan_tiny", [], ["a"], {}),
    *(0, 1, 2, 3, 5, -1, 4.5, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**30, {"a": {}}),
)
TEXTS = (
    *("", "{}", "[]", "null", "7", "nan", '"format"', "{", "\ufeff{}", "[" * 100_000, "9" * 5000),
    *('{"a": 1, "a": 2}', "\x00" * 100, '{"recipe": 1, "options": 2, "data": 3}'),
)


def write_model(rng: random.Random, intact: Path, path: Path) -> str:
    """Copies an exported model (or a run) and damages it; returns what was done."""
    shutil.copytree(intact, path)
    is_run = (path / "config.json").exists()
    folder = path if is_run else path / "1"
    done = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        mutate = rng.choice(RUN_MUTATIONS if is_run else MODEL_MUTATIONS)
        try:
            done.append(mutate(rng, folder))
        except (OSError, ValueError, LookupError) as error:
            # What an earlier mutation has destroyed.
            done.append(f"{mutate.__name__} not possible: {type(error).__name__}")
    # A manifest that agrees with the damaged files: the damage is then found further on, if at all.
    # But TensorFlow logs a traceback of its own about a damaged fingerprint, and goes on.
    agrees = rng.random() < 0.5 and not any("fingerprint" in step for step in done)
    if not is_run and agrees and sign(folder):
        done.append("signed")
    return ", ".join(done)


def sign(folder: Path) -> bool:
    """Writes a manifest that agrees with the files; returns whether there was one to go by."""
    try:
        manifest = _read_json(folder / MANIFEST_NAME)
        (folder / MANIFEST_NAME).unlink()
        listed = manifest.pop("files")
        del manifest["manifest_sha256"]
        write_manifest(folder, manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False
    # Entries for files that are not there stay, as do listings that are none.
    written = json.loads((folder / MANIFEST_NAME).read_text())
    if not isinstance(listed, dict):
        written["files"] = listed
    else:
        written["files"] |= {n: h for n, h in listed.items() if not (folder / n).is_file()}
    _write_signed(folder, written)
    return True


def _read_json(path):
    # A pipe would be read for ever.
    if not path.is_file():
        raise ValueError(f"{path} is no file")
    return json.loads(path.read_text())


def _write_signed(folder, manifest):
    manifest.pop("manifest_sha256", None)
    manifest["manifest_sha256"] = text_hash(manifest_text(manifest))
    (folder / MANIFEST_NAME).write_text(manifest_text(manifest))


def _damage_file(rng, folder):
    path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    return f"{_damage(rng, path)} {path.relative_to(folder)}"


def _damage(rng, path):
    kind = rng.choice(("remove", "empty", "cut", "flip", "text", "folder", "loop", "pipe", "grow"))
    data = bytearray(path.read_bytes())
    if kind == "cut":
        path.write_bytes(data[: rng.randrange(len(data) + 1)])
    elif kind == "flip":
        for _ in range(rng.choice((1, 5, 100))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
    elif kind == "grow":
        path.write_bytes(data + rng.randbytes(rng.choice((1, 100))))
    else:
        path.unlink()
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text(rng.choice(TEXTS))
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    return kind


def _change_json(rng, path):
    """Replaces, removes or adds a value somewhere in a JSON file."""
    content = _read_json(path)
    place, keys = content, []
    while isinstance(place, dict) and place:
        keys.append(rng.choice(sorted(place)))
        if not isinstance(place[keys[-1]], dict) or rng.random() < 0.4:
            break
        place = place[keys[-1]]
    if not keys:
        raise ValueError(f"{path} has nothing to change")
    kind, value = rng.choice(("replace", "replace", "remove", "add")), rng.choice(VALUES)
    if kind == "remove":
        del place[keys[-1]]
    else:
        place["surprise" if kind == "add" else keys[-1]] = value
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
    return f"{kind} {'/'.join(keys)} in {path.name} ({value!r:.30})"


def _change_manifest(rng, folder):
    return _change_json(rng, folder / MANIFEST_NAME)


def _change_config(rng, folder):
    return _change_json(rng, folder / "config.json")


def _change_arrays(rng, path):
    """Removes an array of an .npz file, or gives it another shape, type or content."""
    if not path.is_file():
        raise ValueError(f"{path} is no file")
    with np.load(path) as saved:
        arrays = dict(saved)
    name = rng.choice(sorted(arrays))
    value = arrays[name]
    kind = rng.choice(("remove", "shape", "nan", "text", "object", "add", "huge", "complex"))
    if kind == "remove":
        del arrays[name]
    elif kind == "add":
        arrays["surprise"] = np.zeros(3)
    else:
        number = np.zeros(3) if value.dtype.kind == "U" else value
        arrays[name] = {
            "shape": np.zeros((2, 0, 3), "float32"),
            "nan": np.full_like(number, np.nan if number.dtype.kind == "f" else 0),
            "text": np.array("[1, 2]"),
            "object": np.array([{"a": 1}], dtype=object),
            "huge": np.full_like(number, 1e38 if number.dtype.kind == "f" else 0),
            "complex": number.astype("complex128") * 1j,
        }[kind]
    np.savez(path, **arrays)
    return f"{kind} {name} in {path.name}"


def _change_golden(rng, folder):
    return _change_arrays(rng, folder / "golden.npz")


def _change_checkpoint(rng, folder):
    return _change_arrays(rng, folder / "checkpoint.npz")


def _change_versions(rng, folder):
    """Renames the version, or puts something else that counts as one beside it."""
    name = rng.choice(("0", "007", "2", "٣", "²", "-1", "1.5", "9" * 200, ".2"))
    kind = rng.choice(("rename", "file", "folder"))
    beside = folder.parent / name
    if kind == "rename":
        folder.rename(beside)
    elif kind == "file":
        beside.write_text("not a version")
    else:
        beside.mkdir()
    return f"version {name:.10} as {kind}"


MODEL_MUTATIONS = (
    *(_damage_file, _damage_file, _damage_file, _change_manifest, _change_manifest, _change_golden),
    _change_versions,
)
RUN_MUTATIONS = (_damage_file, _change_config, _change_config, _change_config, _change_checkpoint)
