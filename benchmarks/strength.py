"""At which strength is what a super-resolution model makes up best?

    python benchmarks/strength.py mu_gan_speech_x4 --data ljspeech

Prints a Markdown table: scores of the spline, of soxr's sinc and of the model at each strength,
means over the clips of the folders, chosen as `tonezoo evaluate` chooses them. Choose by speakers
that the model does not know, or on clips of theirs that it was not trained on (those it knows by
heart), and check on others.
"""

import argparse
import os
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from clips import clips_of

from tonezoo.analysis.metrics import METRICS
from tonezoo.analysis.score_tables import markdown_row
from tonezoo.analysis.super_resolution_evaluation import measure
from tonezoo.audio.resampling import decimate, resample, upsample_spline
from tonezoo.pretrained import load

COLUMNS = ("visqol", "mos_lqo_wb", "estoi", "lsd", "snr_db")
STRENGTHS_DB = (0.0, -3.0, -6.0, -9.0, -12.0, -15.0)


def scores(model, clips, strengths_db):
    """Returns (row, metric), means over the clips: spline, sinc, then a row of each strength."""
    found = []
    for samples in clips.values():
        reference = samples[: len(samples) // model.ratio * model.ratio]
        low = decimate(reference, model.ratio)
        sinc = resample(low, model.low_rate_hz, model.sample_rate_hz)
        estimates = [upsample_spline(low, model.ratio), sinc] + [
            model.enhance(low, model.low_rate_hz, strength_db=strength_db)
            for strength_db in strengths_db
        ]
        rates = {"ratio": model.ratio, "sample_rate_hz": model.sample_rate_hz}
        found.append([measure(reference, e, **rates, keys=COLUMNS) for e in estimates])
    return np.nanmean(found, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="run, exported model, or a shipped model's name")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of audio")
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS_DB, metavar="DB")
    options = parser.parse_args()
    model = load(options.model)
    clips = clips_of(options.data, options.model, model)
    print(f"{model.name}, {len(clips)} clips\n")
    print(markdown_row(["strength (dB)", *(METRICS[key].title for key in COLUMNS)]))
    print(markdown_row(["---"] * (len(COLUMNS) + 1)))
    names = ["spline", "sinc (soxr)", *(f"{strength_db:g}" for strength_db in options.strengths)]
    for name, means in zip(names, scores(model, clips, options.strengths), strict=True):
        print(markdown_row([name, *(f"{mean:.3f}" for mean in means)]))


if __name__ == "__main__":
    main()
