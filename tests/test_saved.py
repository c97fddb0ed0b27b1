"""What was saved by an earlier version still loads, with the outputs that it had."""

import importlib.util
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import tonezoo
from tonezoo.models.base import AudioModel
from tonezoo.pretrained import load
from tonezoo.registry import model_entry

DATA = Path(__file__).with_name("data")
spec = importlib.util.spec_from_file_location("write_saved", DATA / "write.py")
saved = importlib.util.module_from_spec(spec)
spec.loader.exec_module(saved)
EXPORTED = [n for n in saved.MODELS if issubclass(model_entry(n).model, AudioModel)]


def arrays(name):
    with np.load(DATA / f"{name}.npz") as file:
        return file["input"], file["output"]


def check(output, expected):
    # Other processors and versions sum float32 in another order.
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_every_model_has_something_saved():
    assert sorted(saved.MODELS) == tonezoo.list_models()
    for name in saved.MODELS:
        kinds = (".keras", ".weights.h5", ".npz", *([".export.zip"] if name in EXPORTED else []))
        assert not [kind for kind in kinds if not (DATA / f"{name}{kind}").is_file()]


@pytest.mark.parametrize("name", saved.MODELS)
def test_a_keras_file_loads_with_its_output(name):
    waveform, expected = arrays(name)
    check(keras.saving.load_model(DATA / f"{name}.keras")(waveform), expected)


@pytest.mark.parametrize("name", saved.MODELS)
def test_weights_load_into_a_new_model_with_its_output(name):
    waveform, expected = arrays(name)
    model = saved.create(name)
    model.load_weights(DATA / f"{name}.weights.h5")
    check(model(waveform), expected)


@pytest.mark.parametrize("name", EXPORTED)
def test_an_export_is_verified_and_gives_its_output(name, tmp_path):
    with zipfile.ZipFile(DATA / f"{name}.export.zip") as archive:
        archive.extractall(tmp_path)
    assert tonezoo.verify(tmp_path)["name"] == name
    waveform, expected = arrays(name)
    check(load(tmp_path)._call(waveform), expected)
