"""Keras models in files."""

import os
from pathlib import Path

SUFFIX = ".keras"


def load_keras_model(path: str | os.PathLike):
    """Returns the Keras model in a .keras file, not compiled.

    Raises:
        ValueError: there is no such file, it is of another format or damaged, or the model needs
            classes that neither Keras nor tonezoo knows.
    """
    import keras

    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path} is no {SUFFIX} file, as model.save('m.keras') writes it.")
    if not path.is_file():
        raise ValueError(f"{path} does not exist.")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its layers raise.
        _, _, inner = str(error).rpartition("Exception encountered: ")
        reason = " ".join(inner.partition(" Full object config")[0].split())[:300]
        raise ValueError(
            f"{path} cannot be loaded: {reason} If it needs classes or functions of yours, load "
            "it in Python, with custom_objects; where a command takes MODULE:ATTRIBUTE, name a "
            "function of yours that does."
        ) from error


def save_keras_model(model, path: str | os.PathLike) -> None:
    """Writes a .keras file, which is complete or not there.

    Raises:
        ValueError: another suffix, or a place that cannot be written to.
    """
    from tonezoo.files import atomic_path

    if Path(path).suffix != SUFFIX:
        raise ValueError(f"A model is written to a {SUFFIX} file, but the name is {path}.")
    with atomic_path(path) as temporary:
        model.save(temporary)
