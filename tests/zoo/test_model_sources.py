"""Keras models by what a user names them with."""

import keras
import pytest

from tonezoo.model_sources import find_keras_model
from tonezoo.models.mu_gan import MuGanGenerator


def test_a_shipped_model_has_its_trained_weights():
    assert find_keras_model("mu_gan_speech_x4").count_params() == 1162464


def test_a_preset_and_a_file(tmp_path):
    model = find_keras_model("mu_gan:tiny")
    assert isinstance(model, MuGanGenerator)
    model.save(tmp_path / "model.keras")
    read = find_keras_model(tmp_path / "model.keras")
    for old, new in zip(model.get_weights(), read.get_weights(), strict=True):
        assert (old == new).all()


def test_an_attribute_of_a_module_in_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "my_own_models.py").write_text(
        "import keras\n"
        "def build():\n"
        "    return keras.Sequential([keras.Input((None, 1)), keras.layers.Conv1D(2, 3)])\n"
        "ready = build()\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert isinstance(find_keras_model("my_own_models:build"), keras.Sequential)
    assert find_keras_model("my_own_models:ready").count_params() == 8
    for attribute, message in (
        ("number", "gave no model: TypeError"),
        ("missing", "gave no model: AttributeError"),
        ("keras", "gave no model: TypeError"),
    ):
        with pytest.raises(ValueError, match=message):
            find_keras_model(f"my_own_models:{attribute}")


@pytest.mark.parametrize("source", ["nothing", "no/folder", "a b:c", "mu gan"])
def test_other_names_are_answered_with_what_is_accepted(source):
    with pytest.raises(ValueError, match=r"There is no model .*MODULE:ATTRIBUTE"):
        find_keras_model(source)
    with pytest.raises(ValueError, match="Unknown preset 'huge' of mu_gan"):
        find_keras_model("mu_gan:huge")
