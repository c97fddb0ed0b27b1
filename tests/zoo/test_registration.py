"""Keras finds tonezoo's classes after `import tonezoo` alone, before Keras or after it."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import tonezoo
from tonezoo.registration import StandIn, registered_classes


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "m.keras"
    tonezoo.create_model("mu_gan", preset="tiny").save(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    "imports",
    ["import tonezoo, keras", "import keras, tonezoo", "import tonezoo.layers, keras"],
)
def test_a_new_process_loads_a_saved_model(keras_file, imports):
    code = f"{imports}; print(keras.saving.load_model({str(keras_file)!r}).count_params())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split()[-1:] == ["21209"], done.stderr[-2000:]


def test_a_stand_in_is_there_for_every_class_that_registers_itself():
    found = {key: StandIn(module, name) for key, module, name in registered_classes()}
    for stand_in in found.values():
        assert isinstance(stand_in.get_config, object)
    registered = keras.saving.get_custom_objects()
    own = {key for key, thing in registered.items() if key.startswith("tonezoo>")}
    assert own <= set(found)
    for key in found:
        assert isinstance(registered[key], type), "importing its module registers the class"


def test_from_pretrained_takes_a_keras_file(keras_file):
    model = tonezoo.from_pretrained(keras_file)
    low = np.random.default_rng(0).standard_normal((1, 64, 1)).astype("float32")
    np.testing.assert_array_equal(model(low), keras.saving.load_model(keras_file)(low))


def test_from_pretrained_refuses_files_of_something_else(tmp_path):
    dense = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    dense.save(tmp_path / "dense.keras")
    with pytest.raises(ValueError, match="holds a Sequential, which is no audio model of tonezoo"):
        tonezoo.from_pretrained(tmp_path / "dense.keras")
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(ValueError, match=r"text\.keras cannot be loaded"):
        tonezoo.from_pretrained(tmp_path / "text.keras")
    with pytest.raises(ValueError, match=r"nowhere\.keras does not exist"):
        tonezoo.from_pretrained(tmp_path / "nowhere.keras")


@pytest.mark.parametrize("name", tonezoo.list_pretrained())
def test_shipped_models_come_as_keras_models_with_their_weights(name):
    model = tonezoo.from_pretrained(name)
    assert model.built and model.count_params() > 1e6
    folder = tonezoo.pretrained.model_folder(name)
    with np.load(max(folder.glob("*/golden.npz"))) as golden:
        output = np.asarray(model(golden["input"], training=False))
        difference = np.abs(output - golden["output"]).max()
        assert difference < 1e-4 * np.abs(golden["output"]).max()


def test_the_public_names_are_reachable_from_the_package():
    for name in tonezoo.__all__:
        assert getattr(tonezoo, name) is not None
    assert tonezoo.layers.upsampler and tonezoo.training.GanTrainer
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        tonezoo.nothing  # noqa: B018
