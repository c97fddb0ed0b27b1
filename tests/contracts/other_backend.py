"""Run with KERAS_BACKEND=jax or torch: the cases' outputs from given weights, and their contracts.

python other_backend.py weights.npz outputs.npz failures.json
"""

import json
import sys
import traceback
import warnings
from pathlib import Path

import keras
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from contracts import portable
from contracts.cases import BLOCKS, CASES, LAYERS, Case

# JAX compiles every operation for every shape: there, one call of what is not like another case,
# and the gradient of the small ones.
OUTPUTS = {"torch": CASES, "jax": [case for case in CASES if not case.slow]}
KEPT = {
    "torch": [(contract, case) for contract in portable.CONTRACTS for case in CASES],
    "jax": [
        (contract, case)
        for contract in (
            portable.every_accepted_length_gives_the_documented_shape,
            portable.gradients_reach_the_input_and_every_variable,
        )
        for case in (*LAYERS, *BLOCKS)
    ],
}


def output_of(case: Case, weights) -> np.ndarray:
    # No variable is initialised: on JAX that is five times as quick as building eagerly.
    with keras.StatelessScope(initialize_variables=False):
        layer = case.make()
        layer.build((None, case.time, case.channels))
    values = [weights[f"{case.name}/{i}"] for i in range(len(layer.weights))]

    def call(values, x):
        with keras.StatelessScope(zip(layer.weights, values, strict=True)):
            return layer(x)

    x = keras.ops.convert_to_tensor(case.sample())
    values = [keras.ops.convert_to_tensor(value) for value in values]
    return keras.ops.convert_to_numpy(portable.compiled(call)(values, x))


def failure(contract, case: Case) -> str | None:
    """Returns the traceback, or None where the contract is kept."""
    try:
        contract(case)
    except Exception:
        return traceback.format_exc()


def main(weights_path: str, outputs_path: str, failures_path: str):
    backend = keras.backend.backend()
    weights = np.load(weights_path)
    np.savez(outputs_path, **{case.name: output_of(case, weights) for case in OUTPUTS[backend]})
    checks = KEPT[backend]
    results = {
        f"{contract.__name__}/{case.name}": failure(contract, case) for contract, case in checks
    }
    failures = {name: text for name, text in results.items() if text is not None}
    Path(failures_path).write_text(json.dumps(failures), encoding="utf-8")


if __name__ == "__main__":
    if keras.backend.backend() not in KEPT:
        raise SystemExit(f"Set KERAS_BACKEND to one of {', '.join(KEPT)}.")
    # Two of the cases overlap unevenly on purpose.
    warnings.filterwarnings("ignore", "TransposedConv1D")
    main(*sys.argv[1:])
