"""The layers and models give the same numbers on the JAX backend, which the figures rely on."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from contracts import cases

pytest.importorskip("jax")

# One of the cases has gaps on purpose, another a partial overlap.
pytestmark = pytest.mark.filterwarnings("ignore:TransposedConv1D")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The outputs of every case on TensorFlow and on JAX, from the same weights."""
    folder = tmp_path_factory.mktemp("jax")
    expected, weights = {}, {}
    for case in cases.CASES:
        layer = case.built()
        expected[case.name] = keras.ops.convert_to_numpy(layer(case.sample()))
        weights |= {f"{case.name}/{i}": w for i, w in enumerate(layer.get_weights())}
    np.savez(folder / "weights.npz", **weights)
    subprocess.run(
        [
            sys.executable,
            Path(cases.__file__).with_name("jax_outputs.py"),
            folder / "weights.npz",
            folder / "outputs.npz",
        ],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        check=True,
    )
    actual = np.load(folder / "outputs.npz")
    return {name: (actual[name], expected[name]) for name in expected}


@pytest.mark.parametrize("name", [case.name for case in cases.CASES])
def test_jax_gives_the_numbers_of_tensorflow(outputs, name):
    actual, expected = outputs[name]
    assert actual.dtype == expected.dtype
    # float32, with another order of summation.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
