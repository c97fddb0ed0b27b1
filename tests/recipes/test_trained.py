"""Training further from the weights of a run or of an exported model."""

import json
import shutil

import numpy as np
import pytest
from tiny_run import SETTINGS

import tonezoo
from tonezoo.recipes.runs import RunFolder
from tonezoo.recipes.trained import provenance, start_from, trained_model
from tonezoo.serving.manifest import write_manifest
from tonezoo.variables import named_variables

pytestmark = pytest.mark.slow


def tiny(**options):
    model = tonezoo.create_model("mu_gan", preset="tiny", **options)
    model.build((None, None, 1))
    return model


def weights(model):
    return [np.array(variable) for variable in model.trainable_variables]


def assert_same(left, right):
    for a, b in zip(weights(left), weights(right), strict=True):
        np.testing.assert_array_equal(a, b)


def test_exported_model_and_run_give_the_same_keras_model(tiny_run, tiny_model):
    assert_same(trained_model(tiny_model), RunFolder(tiny_run).model())
    assert_same(trained_model(tiny_run), RunFolder(tiny_run).model())


def test_a_network_takes_the_weights_whatever_its_dropout(tiny_run, tiny_model):
    for path in (tiny_run, tiny_model):
        network = tiny(dropout=0.0)
        origin = start_from(network, path)
        assert_same(network, RunFolder(tiny_run).model())
        assert origin["recipe"] == "mu_gan_tiny" and origin["training_steps"] == 1
    assert provenance(tiny_run)["options"] == provenance(tiny_model)["options"]


def test_other_widths_are_refused(tiny_run):
    network = tonezoo.create_model("mu_gan", down_filters=(8, 8, 8), up_filters=(32, 16, 16))
    network.build((None, None, 1))
    before = weights(network)
    with pytest.raises(ValueError, match=r"other layers than .*21209 parameters, not "):
        start_from(network, tiny_run)
    for a, b in zip(before, weights(network), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(
        ValueError, match="is for x4 to 16000 Hz, the one to be trained for x2 to 16000 Hz"
    ):
        start_from(tiny(ratio=2), tiny_run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": None}, "names no recipe, options and variables"),
        ({"variables": None}, "names no recipe, options and variables"),
        ({"variables": ["a"]}, "weights in .* are not those of its recipe"),
        ({"options": {"tonic": 1.0}}, "Unknown setting 'tonic'"),
        ({"options": {"preset": "l4_quarter"}}, "weights in .* are not those of its recipe"),
    ],
)
def test_models_that_do_not_tell_how_to_build_them_are_refused(
    tiny_model, tmp_path, change, message
):
    model = rewritten(tiny_model, tmp_path, lambda facts: facts | change)
    with pytest.raises(ValueError, match=message):
        trained_model(model)


def rewritten(model, tmp_path, change):
    """Returns a copy of an exported model with other facts in its manifest, signed."""
    copy = shutil.copytree(model, tmp_path / "model")
    folder = next(path for path in copy.iterdir() if path.is_dir())
    manifest = json.loads((folder / "manifest.json").read_text())
    facts = {k: v for k, v in manifest.items() if k not in ("format", "files", "manifest_sha256")}
    (folder / "manifest.json").unlink()
    write_manifest(folder, change(facts))
    return copy


def test_weights_are_found_by_name_not_by_place(tiny_run, tiny_model, tmp_path):
    """A model whose manifest gives two weights of one shape in the other order has them so."""
    names = ("up_blocks/0/activation/alpha", "up_blocks/1/activation/alpha")

    def swap(facts):
        swapped = dict(zip(names, reversed(names), strict=True))
        return facts | {"variables": [swapped.get(name, name) for name in facts["variables"]]}

    right = named_variables(trained_model(tiny_model))
    assert right[names[0]].shape == right[names[1]].shape
    assert not np.array_equal(right[names[0]], right[names[1]])
    wrong = named_variables(trained_model(rewritten(tiny_model, tmp_path, swap)))
    for name, other in zip(names, reversed(names), strict=True):
        np.testing.assert_array_equal(wrong[name], right[other])
    with np.load(tiny_run / "checkpoint.npz") as saved:
        for name in names:
            np.testing.assert_array_equal(saved[f"generator/{name}"], right[name])


def test_a_run_that_starts_from_a_model_learns_from_there_and_says_so(
    tiny_model, tmp_path, cli, one_device
):
    shutil.copytree(tiny_model, tmp_path / "model")
    options = [*SETTINGS, "learning_rate=1e-9", f"start_from={tmp_path / 'model'}"]
    words = [word for option in options for word in ("--set", option)]
    command = ["train", "mu_gan_tiny", "--run", tmp_path / "run"]
    code, out, err = cli(*command, *words)
    assert code == 0, err
    assert "Starting from weights that mu_gan_tiny trained for 1 steps." in out
    old = trained_model(tiny_model)
    new = RunFolder(tmp_path / "run").model()
    for a, b in zip(weights(old), weights(new), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["started_from"]["training_steps"] == 1
    # It goes on from its own checkpoint, wherever the model is now.
    shutil.rmtree(tmp_path / "model")
    words += ["--resume", "--set", "epochs=2"]
    code, out, err = cli(*command, *words)
    assert code == 0, err
    assert "Starting from" not in out
    assert RunFolder(tmp_path / "run").trained_steps() == 2
    again = json.loads((tmp_path / "run" / "config.json").read_text())
    assert again["started_from"] == config["started_from"]
    assert provenance(tmp_path / "run")["options"]["start_from"] == "model"
