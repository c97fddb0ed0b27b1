"""The models that come with the package, by name."""

import os
from importlib import resources
from pathlib import Path

DEFAULT_MODEL = "mu_gan_speech_x4"
DEFAULT_SEPARATOR = "demucs_procedural"


def shipped_models() -> dict[str, Path]:
    """Returns name -> folder of the exported models in the package.

    Example:

    >>> "mu_gan_speech_x4" in shipped_models()
    True
    """
    root = Path(str(resources.files("tonezoo.savedmodels")))
    return {
        path.name: path
        for path in sorted(root.iterdir())
        if path.is_dir() and any(path.glob("*/manifest.json"))
    }


def model_folder(model: str | os.PathLike) -> Path:
    """Returns the folder of a model: `model` itself, or the shipped model of that name.

    A folder that exists wins over a shipped model.

    Raises:
        ValueError: neither; the message lists the shipped models.
    """
    path = Path(model)
    if path.exists():
        return path
    shipped = shipped_models()
    if str(model) not in shipped:
        raise ValueError(
            f"There is no model at {path}. Give the folder of an exported model or a run, or the "
            f"name of a model that comes with tonezoo: {', '.join(shipped)}."
        )
    return shipped[str(model)]
