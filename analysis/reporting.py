"""What every evaluation writes into its JSON file."""

from collections.abc import Iterable
from importlib import metadata

import numpy as np


def finite_or_none(value: float) -> float | None:
    """Returns a number that JSON can hold, None for nan and infinity.

    Example:

    >>> finite_or_none(np.float64(0.5)), finite_or_none(float("nan"))
    (0.5, None)
    """
    return float(value) if np.isfinite(value) else None


def package_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """Returns the versions of installed packages, None for those that are missing.

    Example:

    >>> package_versions(["no-such-package"])
    {'no-such-package': None}
    """
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions
