"""The smallest run there is: one step a phase of the tiny recipe, in a process of its own."""

import subprocess
import sys
from pathlib import Path

SETTINGS = ("steps_per_epoch=1", "epochs=1", "autoencoder_epochs=1", "segment_samples=1152")


def train_tiny(run: Path) -> None:
    """Trains into the folder `run`."""
    command = [sys.executable, "-m", "tonezoo", "train", "mu_gan_tiny", "--run", str(run)]
    for setting in SETTINGS:
        command += ["--set", setting]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
