"""JAX takes the steps that TensorFlow takes, without TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

DRIVER = Path(__file__).with_name("ten_steps.py")


@pytest.mark.slow
def test_ten_steps_on_jax_are_those_on_tensorflow(tmp_path):
    """Both networks of a GAN, and a separation model with an LSTM; float32, without dropout."""
    pytest.importorskip("jax")
    spec = importlib.util.spec_from_file_location("ten_steps", DRIVER)
    ten_steps = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ten_steps)
    made = ten_steps.trainers()
    np.savez(tmp_path / "weights.npz", **ten_steps.weights(made))
    # A module that cannot be imported in place of TensorFlow: JAX has to do without it.
    (tmp_path / "tensorflow.py").write_text("raise ImportError('not installed')\n")
    path = os.pathsep.join([str(tmp_path), str(DRIVER.parents[2])])
    subprocess.run(
        [sys.executable, DRIVER, tmp_path / "weights.npz", tmp_path / "steps.json"],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": path},
        check=True,
        timeout=600,
    )
    ours, theirs = ten_steps.steps(made), json.loads((tmp_path / "steps.json").read_text())
    for kind, steps in ours.items():
        assert len(steps) == ten_steps.STEPS
        for number, (one, other) in enumerate(zip(steps, theirs[kind], strict=True)):
            # float32 with another order of summation.
            assert other == pytest.approx(one, rel=1e-4), (kind, number)
        assert steps[-1]["loss"] < steps[0]["loss"]
    assert {"adversarial", "discriminator_loss", "mae"} < set(ours["gan"][0])
