"""The layers and models keep their contracts on JAX and PyTorch, with TensorFlow's numbers."""

import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
import pytest
from contracts import cases, other_backend, portable

# Two of the cases overlap unevenly on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:TransposedConv1D")

BACKENDS = ("jax", "torch")


@pytest.fixture(scope="module")
def expected() -> tuple[dict, dict]:
    """The outputs of every case on TensorFlow, and the weights that they come from."""
    outputs, weights = {}, {}
    for case in cases.CASES:
        layer = case.built()
        outputs[case.name] = keras.ops.convert_to_numpy(layer(case.sample()))
        weights |= {f"{case.name}/{i}": w for i, w in enumerate(layer.get_weights())}
    return outputs, weights


@pytest.fixture(scope="module")
def results(expected, tmp_path_factory):
    """Runs a backend, once: its outputs from the same weights, and which contracts it breaks."""

    @cache
    def run(backend: str) -> tuple[dict, dict]:
        if find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        folder = tmp_path_factory.mktemp(backend)
        np.savez(folder / "weights.npz", **expected[1])
        files = [folder / name for name in ("weights.npz", "outputs.npz", "failures.json")]
        subprocess.run(
            [sys.executable, other_backend.__file__, *files],
            env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
            check=True,
        )
        return dict(np.load(files[1])), json.loads(Path(files[2]).read_text(encoding="utf-8"))

    return run


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_numbers_are_those_of_tensorflow(backend, expected, results):
    outputs, _ = results(backend)
    assert outputs.keys() == {case.name for case in other_backend.OUTPUTS[backend]}
    for name in outputs:
        reference = expected[0][name]
        assert outputs[name].dtype == reference.dtype
        # float32, with another order of summation.
        tolerance = 1e-5 * np.abs(reference).max()
        np.testing.assert_allclose(outputs[name], reference, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("contract", [contract.__name__ for contract in portable.CONTRACTS])
@pytest.mark.parametrize("backend", BACKENDS)
def test_contracts_are_kept(backend, contract, results):
    _, failures = results(backend)
    broken = {name: text for name, text in failures.items() if name.startswith(f"{contract}/")}
    assert not broken, "\n".join(f"{name}: {text}" for name, text in broken.items())
