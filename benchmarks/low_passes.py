"""Does a model help recordings that were low-passed by other filters than the one it learnt with?

    python benchmarks/low_passes.py mu_gan_speech_x4 --data speech

Prints a Markdown table: for each low-pass of `tonezoo.audio.resampling.decimate`, the scores of the
cubic spline and of the model, means over the clips. Clips are chosen as `tonezoo evaluate` chooses
them.
"""

import argparse
import os
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tonezoo.analysis.metrics import METRICS
from tonezoo.audio.resampling import LOW_PASSES
from tonezoo.pretrained import load
from tonezoo.tasks.super_resolution.evaluation import (
    evaluate_loaded,
    evaluation_clips,
    training_data,
)

COLUMNS = ("lsd", "snr_db", "mos_lqo_wb", "low_band_error_db")


def rows(model, clips):
    """Yields low-pass, and (spline, model) of each of COLUMNS."""
    for low_pass in LOW_PASSES:
        ours, spline = evaluate_loaded(model, clips, low_pass=low_pass).summary[:2, :, 0]
        keys = list(METRICS)
        yield low_pass, [(spline[keys.index(key)], ours[keys.index(key)]) for key in COLUMNS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="run, exported model, or a shipped model's name")
    parser.add_argument("--data", type=Path, help="folder of audio [default: procedural clips]")
    options = parser.parse_args()
    model = load(options.model)
    clips = evaluation_clips(options.data, training_data(options.model), model, print)
    titles = [METRICS[key].title for key in COLUMNS]
    print(f"{model.name}, {len(clips)} clips; spline -> model\n")
    print("| low-pass | LSD gain | " + " | ".join(titles) + " |")
    print("|---|---" + "|---" * len(titles) + "|")
    gains = []
    for low_pass, scores in rows(model, clips):
        spline, ours = scores[0]
        gains.append(spline - ours)
        cells = " | ".join(f"{before:.2f} -> {after:.2f}" for before, after in scores)
        print(f"| {low_pass} | {gains[-1]:.2f} | {cells} |", flush=True)
    print(f"\nSmallest LSD gain: {np.min(gains):.2f}.")


if __name__ == "__main__":
    main()
