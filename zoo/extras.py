"""Packages that only an extra of tonezoo installs, imported where they are used."""

import importlib
from types import ModuleType


def import_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Returns a module of a package that an extra of tonezoo installs.

    Args:
        module: its name; the package's is the part before the first dot.
        extra: name of the extra.
        purpose: what needs it, the first words of the message.

    Raises:
        ImportError: it is missing; names the package and the extra.

    Example:

    >>> import_extra("no_such_package.part", "eval", "SDR needs")
    Traceback (most recent call last):
    ImportError: SDR needs the package no_such_package: pip install "tonezoo[eval]".
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ImportError(
            f'{purpose} the package {package}: pip install "tonezoo[{extra}]".'
        ) from error
