"""Recipes: experiments as configurations, the data pipeline and the training runner."""

import ast
import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tonezoo.recipes.base import BaseConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """An experiment by name.

    Attributes:
        name: what `tonezoo train` is given.
        config: its configuration, which also knows how to build what it describes.
        description: what it is, in a line.
    """

    name: str
    config: "BaseConfig"
    description: str

    def with_options(self, options: Mapping[str, Any]) -> "BaseConfig":
        """Returns a configuration of the recipe's kind with options as JSON gives them.

        Raises:
            ValueError: options that this kind does not have, or values of another type.

        Example:

        >>> load_recipe("mu_gan_tiny").with_options({"ratio": 6}).ratio
        6
        """
        from tonezoo.recipes.config import from_options

        return from_options(type(self.config), options)


def list_recipes() -> list[str]:
    """Returns the names that `tonezoo train` accepts.

    These are the modules of this package with a CONFIG, and the keys of CONFIGS in its modules that
    have several. A folder that is appended to `tonezoo.recipes.__path__` adds its own.

    Example:

    >>> list_recipes()[0]
    'audio_unet_vctk_speaker1'
    """
    return list(_recipe_modules())


def load_recipe(name: str) -> Recipe:
    """Returns a recipe by its name.

    Its description is the first line of its module's docstring, or of CONFIGS what DESCRIPTIONS of
    that module says.

    Raises:
        ValueError: an unknown name, where the message lists the valid ones; or a module whose
            CONFIG is something else.

    Example:

    >>> recipe = load_recipe("mu_gan_small")
    >>> recipe.config.preset, recipe.config.MAIN_NETWORK
    ('l4_quarter_band_kept', 'generator')
    >>> load_recipe("demucs_small_nearest").description
    'Demucs for two cores: nearest interpolation and convolutions of length 9.'
    """
    from tonezoo.recipes.base import BaseConfig

    modules = _recipe_modules()
    if name not in modules:
        raise ValueError(f"Unknown recipe {name!r}. Available recipes: {', '.join(modules)}.")
    module = importlib.import_module(modules[name])
    config = getattr(module, "CONFIGS", {}).get(name) or module.CONFIG
    if not isinstance(config, BaseConfig):
        raise ValueError(
            f"{modules[name]} gives {name} a configuration of type {type(config).__name__}, but it "
            "must be a subclass of tonezoo.recipes.base.BaseConfig."
        )
    summary = (module.__doc__ or "").strip().partition("\n")[0]
    description = getattr(module, "DESCRIPTIONS", {}).get(name, summary)
    return Recipe(name=name, config=config, description=description)


def _recipe_modules() -> dict[str, str]:
    """Returns the module of each recipe, importing those alone that have CONFIGS."""
    importlib.invalidate_caches()  # of files that came after the folder was first looked at
    found: dict[str, str] = {}
    for info in pkgutil.iter_modules(__path__, f"{__name__}."):
        if info.ispkg:
            continue
        names: Iterable[str] = ()
        defined = _assigned_names(info)
        if "CONFIGS" in defined:
            names = importlib.import_module(info.name).CONFIGS
        elif "CONFIG" in defined:
            names = [info.name.rpartition(".")[2]]
        for name in names:
            if name in found:
                raise ValueError(
                    f"{found[name]} and {info.name} both have a recipe {name}. Rename one of them."
                )
            found[name] = info.name
    return found


def _assigned_names(info: pkgutil.ModuleInfo) -> set[str]:
    """Returns the names that a module assigns at its top level, from its source."""
    spec = info.module_finder.find_spec(info.name)
    source = spec.loader.get_source(info.name) or ""
    if "CONFIG" not in source:
        return set()
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise ValueError(f"{spec.origin} cannot be read as Python: {error}.") from error
    assigned = {
        target.id
        for statement in statements
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in getattr(statement, "targets", [getattr(statement, "target", None)])
        if isinstance(target, ast.Name)
    }
    return assigned & {"CONFIG", "CONFIGS"}
