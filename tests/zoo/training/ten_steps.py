"""Run with KERAS_BACKEND=jax: takes ten steps of both trainers from given weights.

Arguments: an .npz of the networks' weights, and the JSON file to write the steps' logs to.
"""

import json
import sys

import keras
import numpy as np
import small_trainers as small

STEPS = 10
TERMS = {**small.PAPER, "patch_rms": 0.1, "loudness": 1e-3, "tonal": 1e-3}


def trainers() -> dict:
    """Returns both trainers, compiled, with the batches that they learn from."""
    # The paper's rate: Adam turns rounding errors of vanishing gradients into steps of that size.
    gan, separation = small.gan(TERMS), small.separation(lstm_layers=1)
    gan.compile(keras.optimizers.Adam(1e-4), metrics=["mae"])
    separation.compile(keras.optimizers.Adam(1e-4))
    return {"gan": (gan, small.patches()), "separation": (separation, small.mixtures())}


def weights(made: dict) -> dict[str, np.ndarray]:
    return {
        f"{kind}/{network}/{i}": value
        for kind, (trainer, _) in made.items()
        for network in trainer.networks
        if getattr(trainer, network) is not None
        for i, value in enumerate(getattr(trainer, network).get_weights())
    }


def steps(made: dict) -> dict[str, list[dict[str, float]]]:
    """Returns the logs of each step."""
    return {
        kind: [
            {k: float(v) for k, v in trainer.train_on_batch(*data, return_dict=True).items()}
            for _ in range(STEPS)
        ]
        for kind, (trainer, data) in made.items()
    }


def main(source: str, target: str) -> None:
    made = trainers()
    saved = np.load(source)
    for kind, (trainer, _) in made.items():
        for name in trainer.networks:
            network = getattr(trainer, name)
            if network is not None:
                values = [saved[f"{kind}/{name}/{i}"] for i in range(len(network.weights))]
                network.set_weights(values)
    with open(target, "w") as file:
        json.dump(steps(made), file)


if __name__ == "__main__":
    if keras.backend.backend() != "jax":
        raise SystemExit("Set KERAS_BACKEND=jax.")
    main(*sys.argv[1:])
