"""The examples in the docstrings run and print what they say."""

import configparser
import doctest
import importlib
import importlib.util
from pathlib import Path

import pytest

import tonezoo.layers
from tonezoo.registry import list_models, model_entry

SETUP = Path(__file__).parents[1] / "setup.cfg"


def modules() -> list[str]:
    """Names every module of the installed packages as tonezoo.*, without importing any.

    Under its folder's bare name a module would be a second one, whose classes take the
    serialization keys of the first; pkgutil does not see packages that are mapped to folders.
    `__main__` is left out: it runs when imported.
    """
    setup = configparser.ConfigParser()
    setup.read(SETUP)
    names = []
    for package in setup["options"]["packages"].split():
        (folder,) = importlib.util.find_spec(package).submodule_search_locations
        stems = sorted({path.stem for path in Path(folder).glob("*.py")} - {"__main__"})
        names += [package if stem == "__init__" else f"{package}.{stem}" for stem in stems]
    return names


# Tracing a training step takes seconds.
TRAINING = ("tonezoo.training.gan", "tonezoo.training.supervised")


def test_the_modules_of_all_packages_are_found():
    found = set(modules())
    assert found > {"tonezoo", "tonezoo.layers", "tonezoo.recipes", "tonezoo.analysis"}
    assert found > {"tonezoo.files", "tonezoo.layers.subpixel", "tonezoo.analysis.metrics"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in TRAINING else name
        for name in modules()
    ],
)
def test_examples_print_what_they_say(name):
    module = importlib.import_module(name)
    assert module.__doc__, "the module does not say what it is for"
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, optionflags=flags).failed == 0


def test_every_public_layer_and_model_has_an_example():
    public = [getattr(tonezoo.layers, name) for name in tonezoo.layers.__all__]
    public += [model_entry(name).model for name in list_models()]
    examples = doctest.DocTestParser().get_examples
    assert not [thing for thing in public if callable(thing) and not examples(thing.__doc__ or "")]
