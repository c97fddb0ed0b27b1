"""Keras models by whatever a user names them with: what the laboratory's commands take."""

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tonezoo.keras_files import SUFFIX, load_keras_model
from tonezoo.pretrained import from_pretrained, list_pretrained
from tonezoo.registry import create_model, list_models

if TYPE_CHECKING:
    import keras

ACCEPTED = (
    "Give a .keras file, the folder of a run or of an exported model, a shipped model "
    f"({', '.join(list_pretrained())}), MODEL:PRESET as `tonezoo models` lists them, or "
    "MODULE:ATTRIBUTE of yours."
)


def find_keras_model(source: str | os.PathLike) -> "keras.Model":
    """Returns the Keras model that a name or a path stands for.

    Args:
        source: what exists as a path wins: a `.keras` file, or the folder of a run or of a model
            exported by tonezoo. Then, the name of a shipped model; `MODEL:PRESET`, such as
            "demucs:small", or `MODEL` alone for its first preset, with random weights;
            `MODULE:ATTRIBUTE`, a Keras model or a function without arguments that returns one,
            with the working directory on the import path.

    Raises:
        ValueError: nothing of these, or not a Keras model; the message lists what is accepted.

    Example:

    >>> find_keras_model("mu_gan:tiny").count_params()
    21209
    """
    path, text = Path(source), os.fspath(source)
    if path.suffix == SUFFIX:
        return load_keras_model(path)
    if path.exists() or text in list_pretrained():
        return from_pretrained(text)
    name, colon, rest = text.partition(":")
    if name in list_models():
        return create_model(name, preset=rest or None)
    if colon and all(part.isidentifier() for part in name.split(".")) and rest.isidentifier():
        return _from_module(name, rest)
    raise ValueError(f"There is no model {text}. {ACCEPTED}")


def _from_module(module: str, attribute: str) -> "keras.Model":
    import keras

    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    where = f"{module}:{attribute}"
    try:
        found = getattr(importlib.import_module(module), attribute)
        model = found if isinstance(found, keras.Model) else found()
    # Whatever the user's own code raises.
    except Exception as error:
        raise ValueError(f"{where} gave no model: {type(error).__name__}: {error}") from error
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"{where} is a {type(model).__name__}. It has to be a keras.Model, or a function "
            "without arguments that returns one."
        )
    return model
