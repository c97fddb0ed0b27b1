"""Exported models of every task without a training before them, and what tests do to them.

`python tests/untrained_export.py FOLDER` writes one of each task, by the task's name, for a server
that the client's tests are to run against, with its models.config.
"""

import json
import sys
from pathlib import Path

import numpy as np

import tonezoo
from tonezoo.serving.export import describe_model, write_golden, write_saved_model
from tonezoo.serving.manifest import manifest_text, text_hash, write_manifest
from tonezoo.tasks import find_task

MODELS = {"super_resolution": "mu_gan", "separation": "demucs", "vocoding": "mel_gan"}
DATA = {"name": "procedural corpus", "hold_out": [], "train": [], "test": []}


def export_untrained(task: str, folder: Path):
    """Writes version 1 of a tiny model of a task into a folder; returns the Keras model."""
    model = tonezoo.create_model(MODELS[task], preset="tiny")
    version = folder / "1"
    version.mkdir(parents=True)
    write_saved_model(model, version)
    write_golden(version, model)
    facts = describe_model(model, find_task(task).model_facts(model))
    write_manifest(version, {**facts, "data": DATA, "name": folder.name, "version": 1})
    return model


def sign(version: Path, /, **changes) -> None:
    """Makes the manifest agree with the files that are there, and states other facts.

    A fact of `...` is left out.
    """
    manifest = json.loads((version / "manifest.json").read_text())
    (version / "manifest.json").unlink()
    for key in ("files", "manifest_sha256", "format"):
        del manifest[key]
    facts = {key: value for key, value in (manifest | changes).items() if value is not ...}
    write_manifest(version, facts)


def state(version: Path, **facts) -> None:
    """Puts facts into a manifest as they are, those that it is written with included."""
    manifest = json.loads((version / "manifest.json").read_text()) | facts
    del manifest["manifest_sha256"]
    manifest["manifest_sha256"] = text_hash(manifest_text(manifest))
    (version / "manifest.json").write_text(manifest_text(manifest))


def change_golden(version: Path, **changes) -> None:
    """Replaces arrays of the golden file, None for none, and signs the manifest anew."""
    with np.load(version / "golden.npz") as golden:
        arrays = {**golden, **changes}
    np.savez(version / "golden.npz", **{k: v for k, v in arrays.items() if v is not None})
    sign(version)


def export_for_server(folder: Path) -> None:
    """Writes a tiny model of every task and models.config into a folder.

    The container has the folder at /models.
    """
    configs = []
    for task in MODELS:
        export_untrained(task, folder / task)
        place = f'name: "{task}" base_path: "/models/{task}"'
        configs.append(f'  config {{ {place} model_platform: "tensorflow" }}\n')
    (folder / "models.config").write_text(f"model_config_list {{\n{''.join(configs)}}}\n")


if __name__ == "__main__":
    export_for_server(Path(sys.argv[1]))
