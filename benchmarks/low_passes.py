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

from tonezoo.analysis.listening_metrics import missing_packages
from tonezoo.analysis.metrics import METRICS
from tonezoo.analysis.super_resolution_evaluation import measure
from tonezoo.audio.resampling import LOW_PASSES, decimate, upsample_spline
from tonezoo.pretrained import load
from tonezoo.tasks.evaluation_data import training_data
from tonezoo.tasks.super_resolution.evaluation import evaluation_clips

COLUMNS = ("lsd", "snr_db", "mos_lqo_wb", "low_band_error_db")


def rows(model, clips):
    """Yields low-pass, and (spline, model) of each of COLUMNS, means over the clips."""
    available = [key for key in COLUMNS if key not in missing_packages()]
    rates = {"ratio": model.ratio, "sample_rate_hz": model.sample_rate_hz}
    for low_pass in LOW_PASSES:
        found = []
        for samples in clips.values():
            reference = samples[: len(samples) // model.ratio * model.ratio]
            low = decimate(reference, model.ratio, low_pass)
            both = upsample_spline(low, model.ratio), model.enhance(low, model.low_rate_hz)
            found.append([measure(reference, e, **rates, keys=available) for e in both])
        pairs = dict(zip(available, np.mean(found, axis=0).T, strict=True))
        yield low_pass, [tuple(pairs.get(key, (np.nan, np.nan))) for key in COLUMNS]


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
