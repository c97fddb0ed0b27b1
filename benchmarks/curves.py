"""Trains recipes for a while on made-up data and draws their losses.

    python benchmarks/curves.py [--steps 400] [--runs runs/curves] [--out docs/curves.png]

Without a folder of data training and validation are on procedural songs or speech, the latter on
other ones than the former. A run that is finished is not trained again.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

from commands import train_anew

from tonezoo.analysis.training_curves import save_loss_curves
from tonezoo.recipes.experiment import VALIDATION_LOSS
from tonezoo.recipes.runs import RunFolder, is_run

RECIPES = ("wave_unet_small", "open_unmix_small", "sams_net_small", "melgan_small", "vocos_speech")
EPOCH_STEPS = 50
VALIDATION_BATCHES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400, help="of each run, a multiple of 50")
    parser.add_argument("--runs", type=Path, default=Path("runs/curves"))
    parser.add_argument("--out", type=Path, default=Path("docs/curves.png"))
    options = parser.parse_args()
    if options.steps < EPOCH_STEPS or options.steps % EPOCH_STEPS:
        parser.error(f"--steps must be a multiple of {EPOCH_STEPS}.")
    logs = {}
    for recipe in RECIPES:
        run = options.runs / recipe
        if not is_run(run) or RunFolder(run).trained_steps() != options.steps:
            train_anew(
                recipe,
                run,
                steps_per_epoch=EPOCH_STEPS,
                epochs=options.steps // EPOCH_STEPS,
                validation_batches=VALIDATION_BATCHES,
            )
        logs[recipe] = RunFolder(run).read_log()
        first, last = (logs[recipe][line][VALIDATION_LOSS] for line in (0, -1))
        print(f"{recipe}: validation loss {first:.4g} after the first epoch, {last:.4g} at the end")
    save_loss_curves(options.out, logs, ("loss", VALIDATION_LOSS))


if __name__ == "__main__":
    main()
