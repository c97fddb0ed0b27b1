"""The smallest runs there are, of the tiny recipes, in processes of their own."""

import subprocess
import sys
from pathlib import Path

SETTINGS = ("steps_per_epoch=1", "epochs=1", "autoencoder_epochs=1", "segment_samples=1152")
SEPARATION_SETTINGS = (
    *("steps_per_epoch=2", "epochs=2", "batch_size=2", "segment_s=0.1"),
    *("tracks=2", "track_s=2"),
)
# task -> recipe and its settings
RUNS = {
    "super_resolution": ("mu_gan_tiny", SETTINGS),  # one step per phase
    "separation": ("demucs_tiny", SEPARATION_SETTINGS),  # two epochs of two steps
}


def train_tiny(task: str, run: Path) -> None:
    """Trains a model of a task into the folder `run`."""
    recipe, settings = RUNS[task]
    command = [sys.executable, "-m", "tonezoo", "train", recipe, "--run", str(run)]
    for setting in settings:
        command += ["--set", setting]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
