"""Recipes are found by themselves, and one of a new kind needs a file of its own alone."""

import contextlib
import subprocess
import sys

import numpy as np
import pytest

import tonezoo.recipes
from tonezoo.recipes import list_recipes, load_recipe
from tonezoo.recipes.config import override
from tonezoo.recipes.devices import Devices

# A kind of recipe that the package does not know: it learns the gain of a signal.
TOY = '''"""A gain that is learnt, for tests."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from tonezoo.recipes.base import BaseConfig


@dataclass(frozen=True, kw_only=True)
class Config(BaseConfig):
    MAIN_NETWORK = "gain"

    model: str = "gain"
    true_gain: float = 3.0

    def new_model(self, dtype="float32"):
        import keras

        model = keras.Sequential([keras.layers.Dense(1, use_bias=False, dtype=dtype)])
        model.build((None, 1))
        return model

    def data_source(self, split, report=print):
        return SimpleNamespace(summary="noise", fingerprint="noise")

    def batches(self, batch_size, seed, start_step):
        import tensorflow as tf

        rng = np.random.default_rng((seed, start_step))
        x = rng.standard_normal((64 * batch_size, 1)).astype("float32")
        return tf.data.Dataset.from_tensor_slices((x, self.true_gain * x)).repeat().batch(
            batch_size
        )

    def build(self, source, replicas):
        network = self.new_model(self.dtype)
        network.compile(self.adam(), "mse")
        network.optimizer.build(network.trainable_variables)
        return self.one_phase(
            source, replicas, network=network, trainer=network, examples=64, batches=self.batches
        )


CONFIG = Config(learning_rate=0.1, epochs=5, batch_size=4)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which recipes are looked for as well."""
    monkeypatch.setattr(tonezoo.recipes, "__path__", [*tonezoo.recipes.__path__, str(tmp_path)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("tonezoo.recipes."):
            del sys.modules[name]


def test_every_module_with_a_configuration_is_found_without_loading_keras():
    code = (
        "import sys; from tonezoo.recipes import list_recipes, load_recipe; "
        "print(*[load_recipe(name).name for name in list_recipes()]); "
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert names == list_recipes()
    assert {"mu_gan_tiny", "demucs_tiny", "demucs_small_nearest", "demucs_musdb_linear"} <= {*names}
    assert not {"demucs_table1", "base", "runs"} & {*names}


def test_an_unknown_recipe_lists_the_valid_ones():
    with pytest.raises(ValueError, match=r"Unknown recipe 'demucs_table1'.*demucs_small_nearest,"):
        load_recipe("demucs_table1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "CONFIG = {}",
            r"recipes\.mine gives mine .*type dict, but it must be a subclass",
        ),
        ("CONFIG = ", r"mine\.py cannot be read as Python"),
        ("CONFIGS = {'mu_gan_tiny': 1}", "both have a recipe mu_gan_tiny. Rename"),
    ],
)
def test_modules_that_are_no_recipes_are_explained(folder, text, message):
    (folder / "mine.py").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe("mine")


def test_several_recipes_of_one_module_have_names_and_descriptions(folder):
    text = TOY.replace("CONFIG =", "BASE =")
    text += 'CONFIGS = {"gain_a": BASE, "gain_b": Config(true_gain=2.0)}\n'
    text += 'DESCRIPTIONS = {"gain_b": "A gain of two."}\n'
    (folder / "gains.py").write_text(text)
    assert {"gain_a", "gain_b"} <= {*list_recipes()} and "gains" not in list_recipes()
    assert load_recipe("gain_a").description == "A gain that is learnt, for tests."
    assert load_recipe("gain_b").description == "A gain of two."
    assert load_recipe("gain_b").config.true_gain == 2.0


def test_a_recipe_of_a_new_kind_needs_one_file(folder, tmp_path, monkeypatch):
    from tonezoo.recipes import runner
    from tonezoo.recipes.runner import TrainingRequest, train
    from tonezoo.recipes.runs import RunFolder

    (folder / "gain.py").write_text(TOY)
    recipe = load_recipe("gain")
    assert recipe.description == "A gain that is learnt, for tests."
    assert override(recipe.config, ["true_gain=2"]).true_gain == 2.0
    assert recipe.config.run_name("gain") == "gain"
    monkeypatch.setattr(runner, "all_devices", lambda report: Devices(1, contextlib.nullcontext))
    lines = []
    request = TrainingRequest(recipe="gain", run=tmp_path / "run", settings=("true_gain=2",))
    outcome = train(request, lines.append)
    assert outcome.position.step == 5 * 64 // 4
    assert lines[0].startswith("noise; 1 device(s), batch 4 x 1")
    run = RunFolder(tmp_path / "run")
    assert run.configuration() == override(recipe.config, ["true_gain=2"])
    assert run.main_network == "gain"
    np.testing.assert_allclose(run.model()(np.ones((1, 1))), [[2.0]], atol=0.05)
    with pytest.raises(ValueError, match="takes no folder of data"):
        train(TrainingRequest(recipe="gain", run=tmp_path / "other", data=tmp_path))


def test_a_run_whose_recipe_is_gone_is_explained(folder, tmp_path):
    from tonezoo.recipes.runs import RunFolder

    (tmp_path / "config.json").write_text('{"recipe": "gone", "options": {}, "data": {}}')
    with pytest.raises(ValueError, match=r"config\.json: Unknown recipe 'gone'\. Available"):
        RunFolder(tmp_path).configuration()
