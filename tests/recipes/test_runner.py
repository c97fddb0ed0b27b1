"""The training runner: killed and resumed, interrupted, non-finite, given the wrong folder."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_run import SETTINGS, smallest_networks

from tonezoo.recipes import list_recipes, load_recipe, super_resolution
from tonezoo.recipes.experiment import Experiment, Phase, Position, assign_state
from tonezoo.recipes.runner import Outcome, Session, TrainingRequest, epoch_ranges
from tonezoo.recipes.runs import RunFolder
from tonezoo.registry import model_entry

DRIVER = Path(__file__).with_name("killed_training.py")


def run_driver(backend, recipe, run, *words):
    path = os.pathsep.join([str(DRIVER.parents[1]), os.environ.get("PYTHONPATH", "")])
    # One process at a time and few threads each: the machine may have two cores.
    jax = {
        "JAX_PLATFORMS": "cpu",
        # Compiling is most of the time: the later processes take what the first one compiled.
        "JAX_COMPILATION_CACHE_DIR": str(run.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.run(
        [sys.executable, DRIVER, recipe, run, *words],
        env={**os.environ, **jax, "KERAS_BACKEND": backend, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )


def train_command(run, *arguments):
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, "-m", "tonezoo", "train", "mu_gan_tiny", "--run", run, *settings]
    return [str(word) for word in (*command, *arguments)]


GENERATOR_EPOCHS = [("generator", 5), ("generator", 10)]
ALL_EPOCHS = [("autoencoder", 5), *GENERATOR_EPOCHS]
SEPARATOR_EPOCHS = [("separator", 5), ("separator", 10)]
# Where a run is killed, or copied by the uninterrupted one, which saves a process; and the epochs
# that its log has in the end.
STOPPED = {
    ("mu_gan_tiny", "tensorflow"): ("copied", "autoencoder:4", ALL_EPOCHS),
    ("mu_gan_tiny", "jax"): ("copied", "generator:7", GENERATOR_EPOCHS),
    ("demucs_tiny", "tensorflow"): ("killed", "write:2", SEPARATOR_EPOCHS),
}


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "backend"), STOPPED)
def test_killed_anywhere_and_resumed_ends_as_if_never_stopped(tmp_path, recipe, backend):
    """Weights, optimizers and random states end the same, bit for bit."""
    if backend == "jax":
        pytest.importorskip("jax")
    how, point, epochs = STOPPED[recipe, backend]
    copying = (point, tmp_path / "killed") if how == "copied" else ("none",)
    straight = run_driver(backend, recipe, tmp_path / "straight", *copying)
    assert straight.returncode == 0, straight.stderr
    if how == "killed":
        killed = run_driver(backend, recipe, tmp_path / "killed", point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = run_driver(backend, recipe, tmp_path / "killed", "none")
    assert resumed.returncode == 0 and "Resuming" in resumed.stdout
    straight, killed = (
        dict(np.load(tmp_path / name / "checkpoint.npz")) for name in ("straight", "killed")
    )
    assert straight.keys() == killed.keys()
    trained = epochs[-1][0]
    assert {name.split("/")[0] for name in straight} >= {trained, "optimizer_0", "header"}
    different = [name for name in straight if not np.array_equal(straight[name], killed[name])]
    assert different == []
    folder = RunFolder(tmp_path / "killed")
    log = folder.read_log()
    assert [(line["name"], line["step"]) for line in log] == epochs
    if recipe == "mu_gan_tiny":
        assert {"adversarial", "discriminator_loss", "discriminator_accuracy"} <= set(log[-1])
        assert ("feature" in log[-1]) == (backend == "tensorflow")
    # Whatever it was trained on, it is used on TensorFlow.
    with smallest_networks():
        model = folder.model()
    assert np.isfinite(model(np.ones((1, 100, model.channels), "float32"))).all()


@pytest.mark.slow
def test_interrupt_saves_and_tells_how_to_resume(tmp_path):
    run = tmp_path / "run"
    process = subprocess.Popen(
        train_command(run, "--set", "epochs=100000", "--set", "checkpoint_steps=2"),
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while len(RunFolder(run).read_log()) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in stderr and "Traceback" not in stderr
    with np.load(run / "checkpoint.npz") as saved:
        header = json.loads(str(saved["header"]))
    assert header["name"] == "generator" and header["step"] >= RunFolder(run).read_log()[-1]["step"]


@pytest.mark.slow
def test_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    run = tmp_path / "run"
    settings = ["learning_rate=1e30", "epochs=50", "checkpoint_steps=1"]
    settings = [word for setting in settings for word in ("--set", setting)]
    failed = subprocess.run(train_command(run, *settings), capture_output=True, text=True)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    message = failed.stderr[failed.stderr.index("error: ") :]
    assert message.startswith("error: l2, ") and " at step " in message
    assert "of the generator phase" in message
    with np.load(run / "checkpoint.npz") as saved:
        assert all(np.isfinite(saved[name]).all() for name in saved if name != "header")


def test_epoch_ranges_finish_the_epoch_that_was_left_in_its_middle():
    phase = Phase(
        name="p", model=None, steps_per_epoch=5, epochs=3, time_share=1.0, dataset=lambda step: None
    )
    assert epoch_ranges(0, phase) == [(0, 15)]
    assert epoch_ranges(5, phase) == [(5, 15)]
    assert epoch_ranges(7, phase) == [(7, 10), (10, 15)]
    assert epoch_ranges(12, phase) == [(12, 15)]
    assert epoch_ranges(15, phase) == epoch_ranges(17, phase) == []


SUPER_RESOLUTION = [
    name for name in list_recipes() if isinstance(load_recipe(name).config, super_resolution.Config)
]


@pytest.mark.parametrize("name", SUPER_RESOLUTION)
def test_recipe_has_a_configuration_and_a_description(name):
    recipe = load_recipe(name)
    cfg = recipe.config
    assert cfg.preset in model_entry(cfg.model).parameters
    assert recipe.description.endswith(".")
    for ratio in (2, 4, 6):
        other = dataclasses.replace(cfg, ratio=ratio)
        levels = 9 if cfg.model == "audio_unet" else 8
        samples = super_resolution.patch_samples(other, levels)
        assert samples % 128 == samples % ratio == 0 and 0 < samples <= cfg.segment_samples


@pytest.fixture
def resumable(tiny_run, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(tiny_run, tmp_path / "run")


@pytest.mark.slow
def test_finished_run_is_described_and_can_be_read(tiny_run):
    folder = RunFolder(tiny_run)
    assert folder.config["recipe"] == "mu_gan_tiny"
    (line,) = folder.read_log()
    assert line["name"] == "generator"
    assert {"loss", "l2", "spectral", "generator_gradient_norm"} <= set(line)
    events = list((tiny_run / "tensorboard").iterdir())
    content = b"".join(path.read_bytes() for path in events)
    assert b"generator/l2" in content and b"RIFF" in content and b"PNG" in content
    model = folder.model()
    assert model(np.zeros((1, 10, 1), "float32")).shape == (1, 40, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "already holds a run. Pass --resume"),
        (["--resume", "--set", "learning_rate=0.1"], "learning_rate was 0.001, now 0.1"),
        (["--resume", "--ratio", "2"], "ratio was 4, now 2"),
        (["--resume", "--set", "learning_rat=0.1"], "Unknown setting 'learning_rat'"),
        (["--resume", "--set", "epochs=many"], "epochs must be of type int"),
    ],
)
def test_run_that_cannot_go_on_is_left_as_it_is(resumable, cli, arguments, message):
    before = (resumable / "checkpoint.npz").read_bytes()
    code, _, stderr = cli(*train_command(resumable, *arguments)[3:])
    assert code == 1
    assert message in stderr
    assert (resumable / "checkpoint.npz").read_bytes() == before


@pytest.mark.slow
def test_run_from_before_an_option_existed_can_go_on(resumable):
    path = resumable / "config.json"
    config = json.loads(path.read_text())
    del config["options"]["tonal_weight"], config["options"]["seed"]
    path.write_text(json.dumps(config))
    cfg = RunFolder(resumable).configuration()
    request = TrainingRequest(recipe="mu_gan_tiny", run=resumable, resume=True)
    RunFolder(resumable).check(request, cfg)
    with pytest.raises(ValueError, match=r"tonal_weight was 0\.0, now 1\.0"):
        RunFolder(resumable).check(request, dataclasses.replace(cfg, tonal_weight=1.0))


@pytest.mark.slow
def test_run_of_another_recipe_is_refused(resumable, cli):
    code, _, stderr = cli("train", "mu_gan_small", "--run", resumable, "--resume")
    assert code == 1
    assert "is a run of recipe mu_gan_tiny, not mu_gan_small" in stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"config.json cannot be read as JSON"),
        ("[" * 100_000, r"config.json cannot be read as JSON"),
        ("[]", "is not the configuration of a tonezoo run"),
        ('{"recipe": 1, "options": {}, "data": {}}', "is not the configuration"),
        ('{"recipe": "a", "options": {}, "data": {}}', "Unknown recipe 'a'"),
        (
            '{"recipe": "mu_gan_tiny", "options": {"epoch": 1}, "data": {}}',
            "config.json: Unknown setting 'epoch'",
        ),
        (
            '{"recipe": "mu_gan_tiny", "options": {"ratio": "4"}, "data": {}}',
            "config.json: ratio must be of type int, but is '4'",
        ),
    ],
)
def test_damaged_configuration_is_explained(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        RunFolder(tmp_path).configuration()


@pytest.mark.parametrize(
    "header", [None, "", "[]", '{"phase": 1, "name": "generator"}', '{"a": 1}']
)
def test_damaged_checkpoint_is_explained(tmp_path, header):
    folder = RunFolder(tmp_path)
    arrays = {} if header is None else {"header": np.array(header)}
    np.savez(tmp_path / "checkpoint.npz", **arrays, a=np.zeros(3))
    with pytest.raises(ValueError, match=r"checkpoint.npz .*Restore the file from a copy"):
        folder.trained_steps()
    (tmp_path / "checkpoint.npz").write_text("text")
    with pytest.raises(ValueError, match=r"checkpoint.npz is damaged"):
        folder.checkpoint.restore({})


def test_checkpoint_of_other_networks_is_refused(tmp_path):
    class Variable:
        shape, dtype = (2, 3), "float32"

    for value in (np.zeros((3, 2)), np.full((2, 3), "text"), np.zeros((2, 3), "complex64")):
        with pytest.raises(ValueError, match=r"does not fit the networks.*generator/0"):
            assign_state({"generator/0": Variable()}, {"generator/0": value}, tmp_path)
    with pytest.raises(ValueError, match="does not fit"):
        assign_state({"generator/0": Variable()}, {}, tmp_path)


class Recorder:
    """A model whose `fit` records its arguments and stops where it is told to."""

    def __init__(self, stop_after=None):
        self.calls = []
        self.stop_after = stop_after
        self.stop_training = False

    def fit(self, dataset, *, steps_per_epoch, initial_epoch, epochs, callbacks, **options):
        self.calls.append((dataset, steps_per_epoch, initial_epoch, epochs))
        logs = {"loss": 1.0}
        for callback in callbacks:
            callback.set_model(self)
            callback.on_train_begin()
        for _ in range(initial_epoch, epochs):
            for batch in range(steps_per_epoch):
                for callback in callbacks:
                    callback.on_train_batch_end(batch, logs)
                if self.stop_training:
                    break
            for callback in callbacks:
                callback.on_epoch_end(0, logs)
            if self.stop_training:
                break
        for callback in callbacks:
            callback.on_train_end()


def session(tmp_path, epochs=(2, 3), seconds=None):
    """A session of two phases of 4 steps per epoch, on recorders."""
    phases = [
        Phase(
            name=name,
            model=Recorder(),
            steps_per_epoch=4,
            epochs=count,
            time_share=share,
            dataset=lambda step: step,
        )
        for name, count, share in zip(("first", "last"), epochs, (0.0, 1.0), strict=True)
    ]
    experiment = Experiment(
        phases=phases,
        networks={},
        optimizers=[],
        global_batch=8,
        data_fingerprint="d",
        start=lambda: None,
    )
    return Session(experiment, RunFolder(tmp_path), 3, time.monotonic(), seconds)


def test_phases_follow_each_other_and_the_end_can_be_extended(tmp_path):
    short = session(tmp_path)
    outcome = short.run(Position(), preview=None)
    assert (outcome.position, outcome.interrupted) == (Position(phase=1, step=12), False)
    assert [p.model.calls for p in short.experiment.phases] == [[(0, 4, 0, 2)], [(0, 4, 0, 3)]]
    longer = session(tmp_path, epochs=(2, 5))
    position = longer.folder.checkpoint.restore(longer.experiment.state())
    assert longer.run(position, preview=None).position == Position(phase=1, step=20)
    assert longer.experiment.phases[1].model.calls == [(12, 4, 3, 5)]


def test_the_tensorboard_log_is_closed_where_training_ends(tmp_path):
    done = session(tmp_path)
    done.run(Position(), preview=None)
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"last/loss" in events.read_bytes()
    with pytest.raises(RuntimeError, match="closed"):
        done.writer.as_default().__enter__()


def test_position_in_the_middle_of_an_epoch_finishes_it_first(tmp_path):
    middle = session(tmp_path)
    assert middle.run(Position(phase=0, step=6), preview=None).position.step == 12
    assert middle.experiment.phases[0].model.calls == [(6, 2, 1, 2)]


def test_time_limit_ends_the_first_phase_and_pauses_the_last(tmp_path):
    late = session(tmp_path, seconds=0.0)
    outcome = late.run(Position(), preview=None)
    assert outcome == Outcome(run=tmp_path, position=Position(phase=1, step=1), interrupted=False)
    again = session(tmp_path)
    position = again.folder.checkpoint.restore(again.experiment.state())
    assert position == Position(phase=1, step=1)
    assert again.run(position, preview=None).position == Position(phase=1, step=12)
