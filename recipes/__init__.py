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
)


def list_recipes() -> list[str]:
    """Returns the names that `tonezoo train` accepts.

    Example:

    >>> list_recipes()[0]
    'mu_gan_vctk_speaker1'
    """
    return list(RECIPES)


def load_recipe(name: str) -> ModuleType:
    """Imports a recipe: a module with CONFIG, dataset, build, generator and preview.

    Raises:
        ValueError: an unknown name; the message lists the valid ones.

    Example:

    >>> load_recipe("mu_gan_small").CONFIG.preset
    'l4_quarter_guarded'
    """
    if name not in RECIPES:
        raise ValueError(f"Unknown recipe {name!r}. Available recipes: {', '.join(RECIPES)}.")
    return importlib.import_module(f"tonezoo.recipes.{name}")
