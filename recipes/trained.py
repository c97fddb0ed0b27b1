"""Trained models as Keras models, from runs and from exported models, to train them further."""

import os
from pathlib import Path

from tonezoo.recipes import load_recipe
from tonezoo.recipes.runs import RunFolder, is_run
from tonezoo.serving.manifest import MANIFEST_NAME, read_manifest, resolve_version
from tonezoo.variables import named_variables

# What of a run's or a model's description tells how its weights came about.
PROVENANCE = ("recipe", "options", "data", "commit", "training_steps", "started_from")
# Where an exported model has its i-th variable, whose name is the i-th of its manifest.
EXPORTED_VARIABLE = "model_variables/{}/.ATTRIBUTES/VARIABLE_VALUE"


def trained_model(path: str | os.PathLike):
    """Returns the Keras model of a run, an exported model or a model that comes with tonezoo.

    Raises:
        ValueError: nothing usable there.
    """
    if is_run(path):
        return RunFolder(path).model()
    folder = resolve_version(path)
    manifest = described(folder)
    model = load_recipe(manifest["recipe"]).with_options(manifest["options"]).new_model()
    assign_exported(model, folder, manifest)
    return model


def described(folder: Path) -> dict:
    """Returns the manifest of an exported model that tells of the recipe behind it.

    Raises:
        ValueError: it does not, or the model was changed.
    """
    manifest = read_manifest(folder)
    recipe, options, names = (manifest.get(key) for key in ("recipe", "options", "variables"))
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not isinstance(recipe, str) or not isinstance(options, dict) or not are_names:
        raise ValueError(
            f"{folder / MANIFEST_NAME} names no recipe, options and variables, which training from "
            "its weights needs. Start from a run, or export the model again."
        )
    return manifest


def assign_exported(model, folder: Path, manifest: dict) -> None:
    """Gives a built model the variables of an exported one, by name.

    Raises:
        ValueError: it has others, or of other shapes.
    """
    import tensorflow as tf

    saved = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    keys = {name: EXPORTED_VARIABLE.format(i) for i, name in enumerate(manifest["variables"])}
    shapes = saved.get_variable_to_shape_map()
    found = {name: tuple(shapes[key]) for name, key in keys.items() if key in shapes}
    variables = named_variables(model)
    if shapes_of(variables) != found:
        raise ValueError(
            f"The weights in {folder} are not those of its recipe, {manifest['recipe']}, with the "
            "options in its manifest. Start from the run that it was exported from."
        )
    for name, variable in variables.items():
        variable.assign(saved.get_tensor(keys[name]).astype(variable.dtype))


def shapes_of(variables: dict) -> dict[str, tuple[int, ...]]:
    return {name: tuple(variable.shape) for name, variable in variables.items()}


def provenance(path: str | os.PathLike) -> dict:
    """Returns recipe, options, data, commit and steps behind the weights at a path."""
    if is_run(path):
        run = RunFolder(path)
        description = {
            **run.config,
            "options": run.portable_options,
            "training_steps": run.trained_steps(),
        }
    else:
        description = described(resolve_version(path))
    return {key: description[key] for key in PROVENANCE if key in description}


def start_from(network, path: str | os.PathLike) -> dict:
    """Gives a built network the trained weights at a path; returns how they came about.

    Raises:
        ValueError: nothing usable there, or a network of another purpose or of other widths.
    """
    source = trained_model(path)
    if source.purpose != network.purpose:
        raise ValueError(
            f"The model at {path} is for {source.purpose}, the one to be trained for "
            f"{network.purpose}. Give a model of the same, or leave start_from out."
        )
    new, old = map(numbers, (network, source))
    if shapes_of(new) != shapes_of(old):
        raise ValueError(
            f"The model at {path} has other layers than the one to be trained: "
            f"{source.count_params()} parameters, not {network.count_params()}. Use the recipe and "
            "the preset it was trained with, or leave start_from out."
        )
    for name, variable in new.items():
        variable.assign(old[name])
    return provenance(path)


def numbers(network) -> dict:
    """Returns the weights of a network by name, without the states of its random numbers."""
    return {name: v for name, v in named_variables(network).items() if "float" in v.dtype}
