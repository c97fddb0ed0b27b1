"""Trained models as Keras models, from runs and from exported models, to train them further."""

import os
from pathlib import Path

from tonezoo.recipes import load_recipe, task_of
from tonezoo.recipes.config import from_options
from tonezoo.recipes.runs import RunFolder, is_run, portable
from tonezoo.serving.manifest import MANIFEST_NAME, read_manifest, resolve_version

# What of a run's or a model's description tells how its weights came about.
PROVENANCE = ("recipe", "options", "data", "commit", "training_steps", "started_from")


def trained_model(path: str | os.PathLike):
    """Returns the Keras model of a run, an exported model or a model that comes with tonezoo.

    Raises:
        ValueError: nothing usable there.
    """
    if is_run(path):
        return RunFolder(path).model()
    import tensorflow as tf

    folder = resolve_version(path)
    manifest = described(folder)
    recipe = load_recipe(manifest["recipe"])
    cfg = from_options(type(recipe.CONFIG), manifest["options"])
    model = task_of(cfg).new_model(cfg)
    saved = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    names = [f"model_variables/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i in range(len(model.variables))]
    shapes = saved.get_variable_to_shape_map()
    if any(shapes.get(n) != list(v.shape) for n, v in zip(names, model.variables, strict=True)):
        raise ValueError(
            f"The weights in {folder} are not those of its recipe, {manifest['recipe']}, with the "
            "options in its manifest. Start from the run that it was exported from."
        )
    for name, variable in zip(names, model.variables, strict=True):
        variable.assign(saved.get_tensor(name))
    return model


def described(folder: Path) -> dict:
    """Returns the manifest of an exported model that tells of the recipe behind it.

    Raises:
        ValueError: it does not, or the model was changed.
    """
    manifest = read_manifest(folder)
    if not isinstance(manifest.get("recipe"), str) or not isinstance(manifest.get("options"), dict):
        raise ValueError(
            f"{folder / MANIFEST_NAME} names no recipe and options, which training from its "
            "weights needs. Start from a run, or export the model again."
        )
    return manifest


def provenance(path: str | os.PathLike) -> dict:
    """Returns recipe, options, data, commit and steps behind the weights at a path."""
    if is_run(path):
        folder = RunFolder(path)
        description = {**folder.config, "training_steps": folder.trained_steps()}
        description["options"] = portable(description["options"])
    else:
        description = described(resolve_version(path))
    return {key: description[key] for key in PROVENANCE if key in description}


def start_from(network, path: str | os.PathLike) -> dict:
    """Gives a built generator the trained weights at a path; returns how they came about.

    Raises:
        ValueError: nothing usable there, or a generator of another ratio, rate or widths.
    """
    source = trained_model(path)
    task, other = (f"x{g.ratio} to {g.sample_rate_hz} Hz" for g in (network, source))
    if task != other:
        raise ValueError(
            f"The generator at {path} goes {other}, the one to be trained {task}. Give a model of "
            "the same, or leave start_from out."
        )
    pairs = list(zip(network.trainable_variables, source.trainable_variables, strict=False))
    same_number = len(network.trainable_variables) == len(source.trainable_variables)
    if not same_number or any(new.shape != old.shape for new, old in pairs):
        raise ValueError(
            f"The generator at {path} has other layers than the one to be trained: "
            f"{source.count_params()} parameters, not {network.count_params()}. Use the recipe and "
            "the preset it was trained with, or leave start_from out."
        )
    for new, old in pairs:
        new.assign(old)
    return provenance(path)
