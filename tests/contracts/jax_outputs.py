"""Run with KERAS_BACKEND=jax: the cases' outputs from given weights, from one .npz to another."""

import sys

import jax
import keras
import numpy as np
from cases import CASES, Case


def output(case: Case, weights) -> np.ndarray:
    # JAX compiles every operation for every shape. So no variable is initialised, and each layer
    # is one compilation: five times as quick as building and calling it eagerly.
    with keras.StatelessScope(initialize_variables=False):
        layer = case.make()
        layer.build((None, case.time, case.channels))

    @jax.jit
    def call(values, x):
        with keras.StatelessScope(zip(layer.weights, values, strict=True)):
            return layer(x)

    values = [weights[f"{case.name}/{i}"] for i in range(len(layer.weights))]
    return np.asarray(call(values, case.sample()))


def main(source: str, target: str):
    weights = np.load(source)
    np.savez(target, **{case.name: output(case, weights) for case in CASES})


if __name__ == "__main__":
    if keras.backend.backend() != "jax":
        raise SystemExit("Set KERAS_BACKEND=jax.")
    main(*sys.argv[1:])
