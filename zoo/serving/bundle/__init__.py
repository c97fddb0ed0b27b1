"""Everything that a stock TensorFlow Serving container needs for chosen models, as one folder."""

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tonezoo.extras import import_extra
from tonezoo.files import atomic_path
from tonezoo.serving.bundle.containers import IMAGE, compose_file, kubernetes_files
from tonezoo.serving.bundle.readme import readme
from tonezoo.serving.bundle.server_config import config_files
from tonezoo.serving.bundle.warm_up import write_warm_up
from tonezoo.serving.manifest import (
    MANIFEST_NAME,
    read_manifest,
    resolve_version,
    restate_files,
)
from tonezoo.serving.verify import verify

MODELS_NAME, CONFIG_NAME, KUBERNETES_NAME = "models", "config", "kubernetes"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BundledModel:
    """A model of a bundle and its versions.

    Attributes:
        name: what clients ask for.
        folders: of its versions, the newest last.
        manifests: theirs.
    """

    name: str
    folders: tuple[Path, ...]
    manifests: tuple[dict, ...]

    @property
    def versions(self) -> list[int]:
        return [manifest["version"] for manifest in self.manifests]


def write_bundle(
    models: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    image: str = IMAGE,
    report: Callable[[str], None] = print,
) -> Path:
    """Writes a folder from which a stock TensorFlow Serving container serves exported models.

    It holds verified copies of the models with warm-up requests, the server's configuration, a
    compose file, Kubernetes manifests and a README with the commands; whole or not at all.

    Args:
        models: folders of exported models, of which the newest version is taken, their versions, or
            names of models that come with tonezoo. Versions of one folder are served together.
        out: the folder to write, which must not exist.
        image: of the container.
        report: receives a one-line message for each version.

    Returns:
        The folder.

    Raises:
        ValueError: no models; one that is not there, was changed or fails its verification; one
            version twice, or two folders whose models have one name; `out` exists or cannot be
            written.
        ImportError: the extra `serve` is not installed.
    """
    for module in ("tensorflow_serving.apis.prediction_log_pb2", "yaml"):
        import_extra(module, "serve", "A bundle needs")
    chosen = choose(models)
    out = Path(out)
    with atomic_path(out, folder=True) as temporary:
        for model in chosen:
            for folder, manifest in zip(model.folders, model.manifests, strict=True):
                copy = temporary / MODELS_NAME / model.name / folder_name(manifest)
                copy_version(folder, copy, manifest)
                records = write_warm_up(copy, manifest)
                restate_files(copy, warm_up_requests=records)
                verify(copy)
                report(f"{model.name} {manifest['version']}: verified, {records} warm-up requests.")
        write_texts(temporary / CONFIG_NAME, configs := config_files(chosen))
        write_texts(temporary, {"compose.yaml": compose_file(image)})
        write_texts(temporary / KUBERNETES_NAME, kubernetes_files(chosen, configs, image))
        write_texts(temporary, {"README.md": readme(chosen, image)})
    report(f"Bundled {', '.join(model.name for model in chosen)} in {out}. See {out}/README.md.")
    return out


def choose(models: Sequence[str | os.PathLike]) -> list[BundledModel]:
    """Returns the models that names and folders stand for, their files checked.

    Raises:
        ValueError: as `write_bundle`.
    """
    if not models:
        raise ValueError("A bundle needs at least one model: folders, or names of shipped models.")
    found: dict[str, dict[int, tuple[Path, dict]]] = {}
    for path in models:
        folder = resolve_version(path).resolve()
        manifest = read_manifest(folder)
        versions = found.setdefault(manifest["name"], {})
        others = {other.parent for other, _ in versions.values()} - {folder.parent}
        if others:
            raise ValueError(
                f"{folder.parent} and {min(others)} both hold a model of the name "
                f"{manifest['name']}, by which clients ask for it. Leave one of them out, or "
                "export it to a folder of another name."
            )
        if manifest["version"] in versions:
            raise ValueError(f"{path} is given twice. Give every version once.")
        versions[manifest["version"]] = folder, manifest
    return [
        BundledModel(
            name=name,
            folders=tuple(folder for _, (folder, _) in sorted(versions.items())),
            manifests=tuple(manifest for _, (_, manifest) in sorted(versions.items())),
        )
        for name, versions in found.items()
    ]


def folder_name(manifest: dict) -> str:
    """Returns the name of a version's folder: the server takes whole numbers alone."""
    return str(manifest["version"])


def copy_version(folder: Path, copy: Path, manifest: dict) -> None:
    """Copies the files that a manifest lists, and the manifest."""
    for name in (*manifest["files"], MANIFEST_NAME):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, copy / name)


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Writes name -> text into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
