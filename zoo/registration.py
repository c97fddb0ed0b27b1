"""Makes tonezoo's classes known to Keras, without importing Keras or the classes before their time.

`keras.saving.load_model` finds a class of another package only if it is registered, which happens
where its module is imported. `import tonezoo` imports none of them; so a stand-in is registered for
each, which imports the class when a file names it.
"""

import importlib
import importlib.abc
import importlib.util
import pkgutil
import re
import sys
from collections.abc import Iterator
from typing import Any

from tonezoo.discovery import read_source

PACKAGES = ("tonezoo.layers", "tonezoo.models", "tonezoo.training")
REGISTERED = re.compile(
    r'^@keras\.saving\.register_keras_serializable\(package="(\w+)"\)\nclass (\w+)', re.MULTILINE
)


def register_when_keras_is_imported() -> None:
    """Registers the stand-ins now if Keras has been imported, else as soon as it is."""
    if "keras" in sys.modules:
        register_stand_ins()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def register_stand_ins() -> None:
    """Registers a stand-in for every class that is not registered yet."""
    import keras

    objects = keras.saving.get_custom_objects()
    for key, module, name in registered_classes():
        objects.setdefault(key, StandIn(module, name))


def registered_classes() -> Iterator[tuple[str, str, str]]:
    """Yields the key in Keras's registry, the module and the name of each class, going by sources.

    Example:

    >>> found = {key: module for key, module, _ in registered_classes()}
    >>> found["tonezoo>Superpixel1D"]
    'tonezoo.layers.superpixel'
    """
    for package in PACKAGES:
        spec: Any = importlib.util.find_spec(package)  # a package of tonezoo, never None
        for info in pkgutil.iter_modules(spec.submodule_search_locations, f"{package}."):
            source, _ = read_source(info)
            for group, name in REGISTERED.findall(source):
                yield f"{group}>{name}", info.name, name


class StandIn:
    """Stands for a class in Keras's registry; whatever is asked of it is asked of the class.

    Args:
        module: where the class is defined; importing it registers the class itself.
        name: of the class.
    """

    def __init__(self, module: str, name: str):
        self._module, self._name = module, name

    def __getattr__(self, attribute):
        return getattr(getattr(importlib.import_module(self._module), self._name), attribute)


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Finds Keras as it would be found otherwise, and registers when it has been imported."""

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Registering(spec.loader)
        return spec


class _Registering(importlib.abc.Loader):
    """A loader that registers after another one has done its work.

    Args:
        loader: the other.
    """

    def __init__(self, loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        register_stand_ins()
