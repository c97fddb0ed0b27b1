"""Which modules of a package hold a thing, without importing any of them."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any


def modules_with(package: str, name: str) -> Iterator[str]:
    """Yields the names, in the package, of its modules that assign a variable at their top.

    A folder that is appended to the package's `__path__` is looked into as well: models, tasks and
    recipes that live elsewhere are found that way.

    Args:
        package: the package's full name.
        name: of the variable.

    Raises:
        ValueError: a module cannot be read as Python.

    Example:

    >>> list(modules_with("tonezoo.models", "ENTRY"))[:2]
    ['audio_unet', 'band_extender']
    """
    importlib.invalidate_caches()  # of files that came after the folder was first looked at
    prefix = f"{package}."
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__, prefix):
        source, origin = read_source(info)
        if name not in source:
            continue
        try:
            statements = ast.parse(source).body
        except SyntaxError as error:
            raise ValueError(f"{origin} cannot be read as Python: {error}.") from error
        if any(name in _assigned(statement) for statement in statements):
            yield info.name.removeprefix(prefix)


def read_source(info: pkgutil.ModuleInfo) -> tuple[str, str]:
    """Returns a module's source, "" where it has none, and what it is read from."""
    finder: Any = info.module_finder  # of a folder, hence one that takes the name alone
    spec = finder.find_spec(info.name)
    return spec.loader.get_source(info.name) or "", spec.origin


def _assigned(statement: ast.stmt) -> list[str]:
    """Returns the names of the variables that a statement assigns."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    return [target.id for target in targets if isinstance(target, ast.Name)]
