"""What each of two worker processes does; TF_CONFIG tells which of them it is.

Arguments: what to do, "train" or "resume"; a folder for the runs and for what is logged.

"train" trains a Demucs to the end, its run copied twice on the way, and then a MU-GAN with its
critics, until the second worker kills itself. "resume" goes on with the first copy by the command
line, until the second worker presses Ctrl-C.
"""

import functools
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import keras
import small_trainers as small
import tensorflow as tf

from tonezoo import cli
from tonezoo.recipes import callbacks, runner
from tonezoo.recipes.devices import all_devices
from tonezoo.terminal import fail

STEPS = 10
COPIED, INTERRUPTED = 4, 6
SETTINGS = (
    *("deterministic=true", "steps_per_epoch=1", f"epochs={STEPS}", "checkpoint_steps=1"),
    *("segment_s=0.1", "tracks=2", "track_s=1", "sample_rate_hz=8000"),
    "validation_batches=2",
)
BATCH = 8


def at_step(last_step, action):
    """Calls `action` after a step of a run, before its checkpoint."""
    original = callbacks.StopOnNonFinite.on_train_batch_end

    def counted(self, batch, logs=None):
        original(self, batch, logs)
        if self.step == last_step:
            action()

    callbacks.StopOnNonFinite.on_train_batch_end = counted


class Steps(keras.callbacks.Callback):
    """Writes the logs of the first steps to a file, and then lets the second worker die."""

    def __init__(self, path: Path, is_chief: bool):
        super().__init__()
        self.path = path
        self.is_chief = is_chief
        self.steps: list[dict[str, float]] = []

    def on_epoch_end(self, epoch, logs=None):
        self.steps.append({name: float(value) for name, value in logs.items()})
        if len(self.steps) == STEPS and self.is_chief:
            self.path.write_text(json.dumps(self.steps))
        if len(self.steps) > STEPS and not self.is_chief:
            os.kill(os.getpid(), signal.SIGKILL)


def gan():
    """A MU-GAN with its critics, compiled: SGD, as to Adam the scale of a gradient is nothing."""
    trainer = small.gan(small.PAPER)
    trainer.compile(keras.optimizers.SGD(1e-2), keras.optimizers.SGD(1e-2))
    return trainer


def main(what: str, folder: Path) -> None:
    # A process has one strategy for all its runs.
    devices = all_devices()
    runner.all_devices = lambda report: devices
    if what == "train":
        if devices.writes:
            for step in (COPIED, INTERRUPTED):
                # Before the next checkpoint is written.
                copy = functools.partial(shutil.copytree, folder / "run", folder / f"run_{step}")
                at_step(step + 1, copy)
        request = runner.TrainingRequest(
            recipe="demucs_tiny", run=folder / "run", settings=(*SETTINGS, "batch_size=2")
        )
        runner.train(request)
        batches = tf.data.Dataset.from_tensors(small.patches(BATCH)).repeat()
        with devices.scope():
            logged = Steps(folder / "gan.json", devices.writes)
            endless = {"steps_per_epoch": 1, "initial_epoch": 0, "epochs": 10**6}
            devices.fit(gan(), batches, None, BATCH, **endless, callbacks=[logged])
    else:
        if not devices.writes:
            at_step(INTERRUPTED, lambda: os.kill(os.getpid(), signal.SIGINT))
        settings = [word for s in (*SETTINGS, "batch_size=2") for word in ("--set", s)]
        run = str(folder / f"run_{COPIED}")
        sys.argv = ["tonezoo", "train", "demucs_tiny", "--run", run, "--resume", *settings]
        cli.main()


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]))
    except ValueError as error:
        fail(str(error))
