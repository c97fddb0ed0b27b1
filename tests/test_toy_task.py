"""A third task with its model and its recipe, one file each, of which nothing else knows.

CONTRIBUTING.md says how tasks, models and recipes are added: this is it, from training to serving.
"""

import contextlib
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile

import tonezoo
import tonezoo.models
import tonezoo.recipes
import tonezoo.tasks
from tonezoo import pretrained
from tonezoo.recipes import runner
from tonezoo.recipes.devices import Devices

TOY = Path(__file__).with_name("toy")


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """Lets the package find the toy's folders, as those of a package of a user's are found."""
    for package in (tonezoo.models, tonezoo.tasks, tonezoo.recipes):
        folder = TOY / package.__name__.rpartition(".")[2]
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    # A process has one distribution strategy, which other tests have made.
    monkeypatch.setattr(runner, "all_devices", lambda report: Devices(1, contextlib.nullcontext))
    # The command line takes its verbs from the tasks when it is imported.
    monkeypatch.delitem(sys.modules, "tonezoo.cli", raising=False)
    registered = dict(keras.saving.get_custom_objects())
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("tonezoo."):
            parent, _, module = name.rpartition(".")
            del sys.modules[name]
            vars(sys.modules.get(parent, tonezoo)).pop(module, None)
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(registered)


def test_the_toy_is_listed(cli):
    assert "gain" in tonezoo.list_models()
    assert "scaling" in tonezoo.tasks.list_tasks()
    assert "gain_tiny" in tonezoo.recipes.list_recipes()
    code, out, _ = cli("recipes")
    assert code == 0 and "gain_tiny: A gain of 3, learnt from noise." in out
    code, out, _ = cli("--help")
    assert code == 0 and "Scale audio files by a gain." in out
    code, out, _ = cli("scale", "--help")
    assert code == 0 and "--twice" in out and "--bit-depth" in out


def test_the_toy_trains_evaluates_exports_verifies_loads_and_runs_on_files(tmp_path, cli):
    run, exported, out_dir = (tmp_path / name for name in ("run", "gain_3", "scaled"))
    code, out, err = cli("train", "gain_tiny", "--run", run)
    assert code == 0 and f"Trained: {run}" in out, err

    model = tonezoo.from_pretrained(run)
    assert type(model).__name__ == "Gain"
    assert float(model.gain) == pytest.approx(3, abs=0.05)

    code, out, err = cli("evaluate", run)
    assert code == 0 and "run is better than the input in SNR (dB)" in out, err
    assert (run / "evaluation.json").is_file() and (run / "evaluation.md").is_file()
    code, _, err = cli("evaluate", run, "--shifts", 2)
    assert code == 1 and "--shifts: not for a model of scaling" in err

    code, out, err = cli("export", run, "--to", exported)
    assert code == 0, err
    code, out, err = cli("verify", exported)
    assert code == 0 and "output as golden" in out, err

    rng = np.random.default_rng(0)
    signal = rng.uniform(-0.1, 0.1, (500, 2)).astype("float32")
    soundfile.write(tmp_path / "noise.wav", signal, 8000, subtype="FLOAT")
    scaled = np.float32(model.gain) * signal
    for path in (run, exported):
        np.testing.assert_allclose(tonezoo.load(path).scale(signal), scaled, rtol=1e-6)
    assert pretrained.engine_for("scaling", exported).name == "gain_3 1"
    code, _, err = cli("scale", tmp_path / "noise.wav", "--out", out_dir, "--model", exported)
    assert code == 0 and "1 of 1 files scaled" in err, err
    np.testing.assert_allclose(soundfile.read(out_dir / "noise.wav")[0], scaled, rtol=1e-5)
    words = ("--out", out_dir, "--model", exported, "--twice")
    code, _, err = cli("scale", tmp_path / "noise.wav", *words)
    assert code == 0, err
    twice = soundfile.read(out_dir / "noise.wav")[0]
    np.testing.assert_allclose(twice, np.float32(model.gain) * scaled, rtol=1e-5)

    words = ("--input", tmp_path / "noise.wav", "--output", tmp_path / "many", "--model", exported)
    code, _, err = cli("batch", "scale", *words)
    assert code == 0 and "1 of 1 files scaled" in err, err
    np.testing.assert_allclose(
        soundfile.read(tmp_path / "many" / "noise.wav")[0], scaled, rtol=1e-5
    )
    (tmp_path / "many" / "noise.wav").unlink()
    # The toy gives the model what the model made.
    code, _, err = cli("batch", "scale", *words, "--twice")
    assert code == 1 and "a chunk depends on what the model makes of another" in err, err

    code, _, err = cli("enhance", tmp_path / "noise.wav", "--out", out_dir, "--model", exported)
    assert code == 1 and "`tonezoo scale` takes it" in err
    assert float(tonezoo.from_pretrained(exported).gain) == float(model.gain)
    model.save(tmp_path / "gain.keras")
    assert float(tonezoo.from_pretrained(tmp_path / "gain.keras").gain) == float(model.gain)


def test_without_its_task_a_model_is_refused_by_name(tmp_path, cli, monkeypatch):
    run, exported = tmp_path / "run", tmp_path / "gain_3"
    assert cli("train", "gain_tiny", "--run", run, "--set", "epochs=1")[0] == 0
    assert cli("export", run, "--to", exported)[0] == 0
    monkeypatch.setattr(tonezoo.tasks, "__path__", tonezoo.tasks.__path__[:1])
    for words in (("verify", exported), ("evaluate", run), ("export", run, "--to", tmp_path / "b")):
        code, _, err = cli(*words)
        assert code == 1 and "The task 'scaling' is unknown to this tonezoo" in err, err
    monkeypatch.setattr(tonezoo.recipes, "__path__", tonezoo.recipes.__path__[:1])
    code, _, err = cli("evaluate", run)
    assert code == 1 and "Unknown recipe 'gain_tiny'" in err
