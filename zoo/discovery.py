"""Which modules of a package hold a thing, without importing any of them."""

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator


def modules_with(package: str, name: str) -> Iterator[str]:
    """Yields the names, in the package, of its modules that assign a variable at their top.

    A folder that is appended to the package's `__path__` is looked into as well: models, tasks and
    recipes that live elsewhere are found that way.

    Args:
        package: the package's full name.
        name: of the variable.

    Example:

    >>> list(modules_with("tonezoo.models", "ENTRY"))[:2]
    ['audio_unet', 'demucs']
    """
    found = pkgutil.iter_modules(importlib.import_module(package).__path__)
    for module in sorted(info.name for info in found):
        spec = importlib.util.find_spec(f"{package}.{module}")
        source = spec.loader.get_source(spec.name)
        if any(name in _assigned(statement) for statement in ast.parse(source).body):
            yield module


def _assigned(statement: ast.stmt) -> list[str]:
    """Returns the names of the variables that a statement assigns."""
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
    return [target.id for target in targets if isinstance(target, ast.Name)]
