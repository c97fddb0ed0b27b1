"""Does a model help recordings that went through other things than a textbook low-pass?

    python benchmarks/conditions.py mu_gan_speech_x4 --data ljspeech

Prints a Markdown table: for each condition the scores of the cubic spline and of the model, means
over the clips of the folders, chosen as `tonezoo evaluate` chooses them, against the clean
recording. The conditions are the low-passes of `tonezoo.audio.resampling.decimate`, light hiss and
clipping, and for a model that takes 8 kHz what telephone lines do.
"""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from clips import clips_of

from tonezoo.analysis.listening_metrics import missing_packages
from tonezoo.analysis.metrics import METRICS
from tonezoo.analysis.score_tables import markdown_row
from tonezoo.analysis.super_resolution_evaluation import measure
from tonezoo.audio.resampling import LOW_PASSES, decimate, upsample_spline
from tonezoo.pretrained import load
from tonezoo.recipes.data.telephone import band_passed, telephone, through_codec

COLUMNS = ("visqol", "mos_lqo_wb", "estoi", "lsd", "snr_db")
TELEPHONE_RATE_HZ = 8000
HISS_DBFS = -60.0
CLIPPED_SHARE_OF_PEAK = 0.5


def hissing(low, rng):
    return low + rng.normal(0, 10 ** (HISS_DBFS / 20), len(low))


def clipped(low, rng):
    limit = CLIPPED_SHARE_OF_PEAK * np.abs(low).max()
    return np.clip(low, -limit, limit)


def conditions(low_rate_hz: float) -> dict[str, Callable]:
    """Returns name -> function of a clean recording, a ratio and a generator: the low rate's."""
    found: dict[str, Callable] = {
        f"{name} low-pass": lambda high, ratio, rng, name=name: decimate(high, ratio, name)
        for name in LOW_PASSES
    }
    spoilt = {
        f"hiss at {HISS_DBFS:g} dBFS": hissing,
        f"clipped at {CLIPPED_SHARE_OF_PEAK:g} of its peak": clipped,
    }
    if low_rate_hz == TELEPHONE_RATE_HZ:
        spoilt |= {
            "band-pass 300-3400 Hz": band_passed,
            "A-law": lambda low, rng: through_codec(low, "ALAW"),
            "mu-law": lambda low, rng: through_codec(low, "ULAW"),
            "GSM full rate": lambda low, rng: through_codec(low, "GSM610"),
            "a telephone, as in training": telephone,
        }
    for name, spoil in spoilt.items():
        found[name] = lambda high, ratio, rng, spoil=spoil: spoil(decimate(high, ratio), rng)
    return found


def rows(model, clips):
    """Yields condition, and (spline, model) of each of COLUMNS, means over the clips."""
    available = [key for key in COLUMNS if key not in missing_packages()]
    rates = {"ratio": model.ratio, "sample_rate_hz": model.sample_rate_hz}
    for name, condition in conditions(model.low_rate_hz).items():
        found = []
        for seed, samples in enumerate(clips.values()):
            reference = samples[: len(samples) // model.ratio * model.ratio]
            low = condition(reference, model.ratio, np.random.default_rng(seed))
            both = upsample_spline(low, model.ratio), model.enhance(low, model.low_rate_hz)
            found.append([measure(reference, e, **rates, keys=available) for e in both])
        pairs = dict(zip(available, np.nanmean(found, axis=0).T, strict=True))
        yield name, [tuple(pairs.get(key, (np.nan, np.nan))) for key in COLUMNS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="run, exported model, or a shipped model's name")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of audio")
    options = parser.parse_args()
    model = load(options.model)
    clips = clips_of(options.data, options.model, model)
    print(f"{model.name}, {len(clips)} clips; spline -> model\n")
    print(markdown_row(["condition", *(METRICS[key].title for key in COLUMNS)]))
    print(markdown_row(["---"] * (len(COLUMNS) + 1)))
    for name, scores in rows(model, clips):
        cells = (f"{before:.3g} -> {after:.3g}" for before, after in scores)
        print(markdown_row([name, *cells]), flush=True)


if __name__ == "__main__":
    main()
