"""Trained generators as Keras models, from runs and from exported models, to train them further."""

import json
import os

from tonezoo.manifest import read_manifest, resolve_version
from tonezoo.recipes import load_recipe
from tonezoo.recipes.runs import RunFolder, is_run

# What of a run's or a model's description tells how its weights came about.
PROVENANCE = ("recipe", "options", "data", "commit", "training_steps", "started_from")


def trained_generator(path: str | os.PathLike):
    """Returns the generator of a run, an exported model or a model that comes with tonezoo.

    Raises:
        ValueError: nothing usable there.
    """
    if is_run(path):
        return RunFolder(path).generator()
    import tensorflow as tf

    folder = resolve_version(path)
    manifest = read_manifest(folder)
    recipe = load_recipe(manifest["recipe"])
    model = recipe.generator(type(recipe.CONFIG)(**manifest["options"]))
    saved = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    for index, variable in enumerate(model.variables):
        name = f"model_variables/{index}/.ATTRIBUTES/VARIABLE_VALUE"
        variable.assign(saved.get_tensor(name))
    return model


def provenance(path: str | os.PathLike) -> dict:
    """Returns recipe, options, data, commit and steps behind the weights at a path."""
    if is_run(path):
        folder = RunFolder(path)
        description = {**folder.config, "training_steps": folder.trained_steps()}
    else:
        description = json.loads((resolve_version(path) / "manifest.json").read_text())
    return {key: description[key] for key in PROVENANCE if key in description}


def start_from(network, path: str | os.PathLike) -> dict:
    """Gives a built generator the trained weights at a path; returns how they came about.

    Raises:
        ValueError: nothing usable there, or a generator of other widths.
    """
    source = trained_generator(path)
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
