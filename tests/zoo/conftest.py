"""Exports that nothing trained, made once for all tests that look at them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import keras
import pytest
import tensorflow as tf
from untrained_export import export_untrained


class Untrained(NamedTuple):
    model: keras.Model
    folder: Path
    loaded: Any  # version 1 of the folder, as TensorFlow loads it


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Callable[[str], Untrained]:
    """untrained(task): a tiny model of a task and its export; copy it before changing it."""

    @cache
    def made(task):
        # Whichever test asks first.
        keras.utils.set_random_seed(0)
        folder = tmp_path_factory.mktemp(task) / "tiny"
        model = export_untrained(task, folder)
        return Untrained(model, folder, tf.saved_model.load(str(folder / "1")))

    return made


# Of the fixture `task` of the module that uses them.


@pytest.fixture(scope="module")
def keras_model(untrained, task) -> keras.Model:
    return untrained(task.name).model


@pytest.fixture(scope="module")
def exported(untrained, task) -> Path:
    return untrained(task.name).folder


@pytest.fixture(scope="module")
def loaded(untrained, task):
    return untrained(task.name).loaded
