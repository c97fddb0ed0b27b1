"""Recipes: one experiment a file, the data pipeline and the training runner."""

import importlib
from types import ModuleType

RECIPES = (
    "mu_gan_vctk_speaker1",
    "mu_gan_vctk_speaker99",
    "mu_gan_piano",
    "audio_unet_vctk_speaker1",
    "mu_gan_small",
    "mu_gan_tiny",
    "demucs_musdb_transposed",
    "demucs_musdb_modified_transposed",
    "demucs_musdb_nearest",
    "demucs_musdb_linear",
    "demucs_musdb_subpixel",
    "demucs_musdb_modified_subpixel",
    "demucs_small_transposed",
    "demucs_small_modified_transposed",
    "demucs_small_nearest",
    "demucs_small_linear",
    "demucs_small_subpixel",
    "demucs_small_modified_subpixel",
    "demucs_tiny",
)


def list_recipes() -> list[str]:
    """Returns the names that `tonezoo train` accepts.

    Example:

    >>> list_recipes()[0]
    'mu_gan_vctk_speaker1'
    """
    return list(RECIPES)


def load_recipe(name: str) -> ModuleType:
    """Imports a recipe: a module whose CONFIG says all; `task_of` gives what it is run with.

    Raises:
        ValueError: an unknown name; the message lists the valid ones.

    Example:

    >>> load_recipe("mu_gan_small").CONFIG.preset
    'l4_quarter_guarded'
    """
    if name not in RECIPES:
        raise ValueError(f"Unknown recipe {name!r}. Available recipes: {', '.join(RECIPES)}.")
    return importlib.import_module(f"tonezoo.recipes.{name}")


def task_of(config) -> ModuleType:
    """Returns the module of a configuration's task, which is the one that defines its class.

    A task has `find_data`, `dataset`, `build`, `new_model`, `preview`, `run_name`, and in TRAINED
    the name of the network and the phase that a run is about.

    Example:

    >>> task_of(load_recipe("mu_gan_small").CONFIG).TRAINED
    'generator'
    """
    return importlib.import_module(type(config).__module__)
