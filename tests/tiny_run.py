"""The smallest runs there are, of the tiny recipes, in processes of their own."""

import subprocess
import sys
from pathlib import Path

SETTINGS = ("steps_per_epoch=1", "epochs=1", "autoencoder_epochs=1", "segment_samples=1152")
SEPARATION_SETTINGS = (
    *("steps_per_epoch=2", "epochs=2", "batch_size=2", "segment_s=0.1"),
    *("tracks=2", "track_s=2"),
)


def train_tiny(run: Path) -> None:
    """Trains a super-resolution model into the folder `run`, one step per phase."""
    _train("mu_gan_tiny", run, SETTINGS)


def train_tiny_separation(run: Path) -> None:
    """Trains a separation model into the folder `run`, two epochs of two steps."""
    _train("demucs_tiny", run, SEPARATION_SETTINGS)


def _train(recipe, run, settings):
    command = [sys.executable, "-m", "tonezoo", "train", recipe, "--run", str(run)]
    for setting in settings:
        command += ["--set", setting]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
