"""Trains a tiny recipe in a process of its own and kills it (SIGKILL) at a given point.

Arguments: recipe; run folder; point: "none", the name of a phase and a number as "generator:N"
(after step N of that phase) or "write:N" (in the middle of the N-th checkpoint that this process
writes). With a further folder the run is not killed after step N but copied there, and goes on: the
copy is what a kill would have left.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import tiny_run

from tonezoo.recipes import callbacks, experiment
from tonezoo.recipes.runner import TrainingRequest, train

COMMON = (
    "deterministic=true",
    "batch_size=2",
    "steps_per_epoch=5",
    "checkpoint_steps=3",
    "epochs=2",
)
# On JAX compiling is most of the time: the autoencoder's phase is left to TensorFlow.
BACKEND_SETTINGS = {"tensorflow": (), "jax": ("feature_weight=0",)}
SETTINGS = {
    "mu_gan_tiny": (
        "segment_samples=1152",
        "autoencoder_epochs=1",
        "dropout=0.2",
        "halving_steps=4",
        "ema_momentum=0.9",
        "gain_db=3",
        "max_speedup=0.1",
        "random_low_pass_share=0.5",
    ),
    "demucs_tiny": ("segment_s=0.1", "gain=true", "tracks=2", "track_s=1", "sample_rate_hz=8000"),
}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def after_step(phase_name, last_step, action):
    original = callbacks.StopOnNonFinite.on_train_batch_end

    def counted(self, batch, logs=None):
        original(self, batch, logs)
        if self.phase_name == phase_name and self.step == last_step:
            action()

    callbacks.StopOnNonFinite.on_train_batch_end = counted


def kill_in_write(number):
    written = []
    savez = np.savez

    def half(file, **arrays):
        written.append(file)
        if len(written) == number:
            savez(file, **dict(list(arrays.items())[: len(arrays) // 2]))
            file.flush()
            die()
        savez(file, **arrays)

    experiment.np.savez = half


def main(recipe, run, point, copy=None):
    kind, _, number = point.partition(":")
    if kind == "write":
        kill_in_write(int(number))
    elif kind != "none":
        action = die if copy is None else lambda: shutil.copytree(run, copy)
        after_step(kind, int(number), action)
    backend = os.environ["KERAS_BACKEND"]
    settings = (*COMMON, *SETTINGS[recipe], *BACKEND_SETTINGS[backend])
    request = TrainingRequest(recipe=recipe, run=Path(run), settings=settings, resume=True)
    with tiny_run.smallest_networks():
        print(train(request))


if __name__ == "__main__":
    main(*sys.argv[1:])
