"""Two workers on this machine train as one process would, and stop and resume together."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import small_trainers as small
import tensorflow as tf

from tonezoo.recipes import devices, load_recipe
from tonezoo.recipes.cluster import EXAMPLE, Cluster
from tonezoo.recipes.config import override
from tonezoo.recipes.runs import RunFolder

DRIVER = Path(__file__).with_name("two_workers.py")


@pytest.fixture(scope="module")
def driver():
    spec = importlib.util.spec_from_file_location("two_workers", DRIVER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(what, folder):
    """Starts two workers; returns their exit codes, outputs and errors, the chief's first."""
    listening = [socket.create_server(("localhost", 0)) for _ in range(2)]
    addresses = [f"localhost:{server.getsockname()[1]}" for server in listening]
    for server in listening:
        server.close()
    path = os.pathsep.join([str(DRIVER.parents[1]), os.environ.get("PYTHONPATH", "")])
    processes = []
    for index in range(2):
        cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        processes.append(
            subprocess.Popen(
                [sys.executable, DRIVER, what, folder],
                env={**os.environ, "TF_CONFIG": json.dumps(cluster), "PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        ends = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *end) for process, end in zip(processes, ends, strict=True)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the runs of two workers, of which one died in the end, and their ends."""
    folder = tmp_path_factory.mktemp("workers")
    return folder, start("train", folder)


@pytest.mark.slow
def test_a_killed_worker_ends_the_other_with_a_message(trained):
    _, ((code, out, error), (killed, *_)) = trained
    assert killed == -signal.SIGKILL
    assert code == 1, error
    assert "Worker 1 of 2 (the chief), at localhost:" in out
    (message,) = re.findall("^error: (.*)", error, re.MULTILINE)
    assert message.startswith("Worker 1 of 2 (the chief) lost another one")
    assert "--resume" in message and "TensorFlow says: Collective ops is aborted" in message


@pytest.fixture(scope="module")
def straight(trained):
    """The run that two workers trained to its end."""
    return RunFolder(trained[0] / "run")


@pytest.mark.slow
def test_demucs_on_two_workers_takes_the_steps_of_one_process(straight, driver):
    cfg = override(load_recipe("demucs_tiny").config, (*driver.SETTINGS, "batch_size=4"))
    keras.utils.set_random_seed(cfg.seed)
    (phase,) = cfg.build(cfg.data_source(None), 1).phases
    together = [line["loss"] for line in straight.read_log()]
    history = phase.model.fit(
        phase.dataset(0), steps_per_epoch=1, epochs=driver.STEPS, shuffle=False, verbose=0
    ).history
    assert len(set(together)) == driver.STEPS
    np.testing.assert_allclose(together, history["loss"], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_mu_gan_on_two_workers_takes_the_steps_of_one_process(trained, driver):
    """Both networks learn, dropout 0, synchronized batch norm, the same global batch."""
    folder, _ = trained
    together = json.loads((folder / "gan.json").read_text())
    data = tf.data.Dataset.from_tensors(small.patches(driver.BATCH)).repeat()
    done = driver.gan().fit(data, steps_per_epoch=1, epochs=driver.STEPS, shuffle=False, verbose=0)
    history = done.history
    # Each replica has its own gradients and its own variance of phi; these are logged, not learnt.
    losses = [name for name in history if "gradient" not in name and name != "phi_variance"]
    assert {"l2", "feature", "adversarial", "discriminator_loss"} < set(losses)
    assert set(together[0]) == set(history)
    for name in losses:
        steps = [step[name] for step in together]
        np.testing.assert_allclose(steps, history[name], rtol=1e-5, atol=1e-5, err_msg=name)
    assert together[-1]["l2"] < together[0]["l2"]


@pytest.mark.slow
def test_the_validation_is_that_of_the_model_that_is_kept(straight):
    cfg = straight.configuration()
    source = cfg.validation_source(None, lambda line: None)
    x, y = cfg.build(source, 1).validation(source)
    assert len(x) == 4
    loss = np.mean(np.abs(straight.model().predict(x, verbose=0) - y))
    assert straight.best_epoch()["val_loss"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_workers_resume_bit_for_bit_and_stop_together(trained, straight, driver):
    """One of them presses Ctrl-C: both end after that step, as far as they were before."""
    folder, _ = trained
    for code, out, error in start("resume", folder):
        assert code == 130, error
        assert f"at step {driver.COPIED} of {driver.STEPS}" in out
        assert "Interrupted; " in error and "--resume" in error
    resumed, copy = (
        RunFolder(folder / f"run_{step}") for step in (driver.COPIED, driver.INTERRUPTED)
    )
    saved, expected = (dict(np.load(run.checkpoint.path)) for run in (resumed, copy))
    assert resumed.checkpoint.header()["step"] == driver.INTERRUPTED
    assert saved.keys() == expected.keys()
    assert [name for name in saved if not np.array_equal(saved[name], expected[name])] == []
    assert resumed.read_log() == straight.read_log()[: driver.INTERRUPTED]


def test_jax_refuses_a_cluster(monkeypatch):
    monkeypatch.setattr(devices.keras.backend, "backend", lambda: "jax")
    assert devices.all_devices() == devices.ONE_DEVICE
    monkeypatch.setenv("TF_CONFIG", EXAMPLE)
    with pytest.raises(ValueError, match="unset KERAS_BACKEND, or TF_CONFIG"):
        devices.all_devices()


def test_different_runs_are_told_apart(monkeypatch):
    """What the workers know is compared by numbers that all of them get."""
    other = {"the data": "a", "the checkpoint": 3}
    workers = devices.Workers(2, None, cluster=None, strategy=None)
    mine: list = []

    def rows(self, row):
        mine.append(row)
        return np.array([mine[0], row])

    monkeypatch.setattr(devices.Workers, "_rows", rows)
    workers.check_same(other)
    workers.check_same(other)
    with pytest.raises(ValueError, match=r"they differ in the checkpoint\. .*shared file system"):
        workers.check_same({**other, "the checkpoint": 4})


def test_a_global_batch_is_shared_in_the_order_of_workers_and_their_devices():
    """Four replicas, two of them here: those of the second worker."""
    workers = devices.Workers(4, None, cluster=Cluster(("a:1", "b:2"), 1), strategy=None)
    steps = tf.data.Dataset.from_tensor_slices(np.arange(16).reshape(2, 8))
    shares = workers._shares(steps.map(lambda x: (x, -x)), 8).rebatch(2)
    assert [x.tolist() for x, _ in shares.as_numpy_iterator()] == [
        [4, 5],
        [6, 7],
        [12, 13],
        [14, 15],
    ]
    # All of the validation for each.
    copies = workers._copies((np.arange(4), -np.arange(4)), 2)
    assert [x.tolist() for x, _ in copies.as_numpy_iterator()] == [[0, 1], [0, 1], [2, 3], [2, 3]]
