"""What each part of the training is worth: the paper's ablations and ours on an equal time budget.

    python benchmarks/ablation.py --data speech --hold-out p228 --test speech/p228 --minutes 12

Trains every variant of `mu_gan_small` below from scratch for the same time, one after the other, on
the same patches, evaluates it on the test folder and prints a Markdown table, row by row. A variant
whose run has an evaluation is not trained again, so that an interrupted table can be finished; one
without is trained afresh.
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from tonezoo.analysis.metrics import METRICS
from tonezoo.recipes.runs import RunFolder

RECIPE = "mu_gan_small"
PAPER = ("preset=l4_quarter", "spectral_weight=0", "loudness_weight=0", "tonal_weight=0")
VARIANTS = {
    "audio U-net of equal size, its own loss": (
        *("model=audio_unet", "preset=l4_seventh", "l2_weight=0", "patch_rms_weight=1"),
        *("spectral_weight=0", "loudness_weight=0", "tonal_weight=0"),
    ),
    "MU-GAN, L2 (paper)": PAPER,
    "MU-GAN, L2 + L_f (paper)": (*PAPER, "feature_weight=1"),
    "MU-GAN, L2 + L_f + L_adv (paper)": (*PAPER, "feature_weight=1", "adversarial_weight=1e-3"),
    "MU-GAN, L2 + spectral": ("preset=l4_quarter", "loudness_weight=0", "tonal_weight=0"),
    "band kept, L2 + spectral": ("loudness_weight=0", "tonal_weight=0"),
    "band kept, L2 + spectral + loudness + tonal (mu_gan_small)": (),
}
COLUMNS = ("snr_db", "lsd", "mos_lqo_nb", "mos_lqo_wb", "low_band_error_db")
PROBES = ("silence in (dBFS out)", "strongest line in noise (dB)")


def tonezoo(*words: str | Path) -> None:
    """Runs the command line in a process of its own: memory starts afresh."""
    command = [sys.executable, "-m", "tonezoo", *map(str, words)]
    # Standard output is the table's.
    subprocess.run(command, check=True, stdout=sys.stderr)


def evaluation_of(name: str, settings: tuple[str, ...], options) -> tuple[dict, int]:
    """Returns the evaluation of a variant and its training steps, training it if need be."""
    run = options.runs / "".join(c if c.isalnum() else "-" for c in name)
    done = run / "evaluation.json"
    if not done.exists():
        shutil.rmtree(run, ignore_errors=True)
        words = [word for pattern in options.hold_out for word in ("--hold-out", pattern)]
        words += [word for setting in settings for word in ("--set", setting)]
        minutes, ratio = str(options.minutes), str(options.ratio)
        words += ["--data", options.data, "--ratio", ratio, "--max-minutes", minutes]
        tonezoo("train", RECIPE, "--run", run, *words)
        tonezoo("evaluate", run, "--data", options.test)
    return json.loads(done.read_text()), RunFolder(run).trained_steps()


def table_row(name: str, steps: str, row: dict, made_up: tuple = (None, None)) -> str:
    figures = [*(row["metrics"][key]["mean"] for key in COLUMNS), *made_up]
    cells = ["-" if figure is None else f"{figure:.2f}" for figure in figures]
    return "| " + " | ".join([name, steps, *cells]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of audio")
    parser.add_argument("--hold-out", action="append", default=[], help="as of tonezoo train")
    parser.add_argument("--test", type=Path, required=True, help="folder to evaluate on")
    parser.add_argument("--ratio", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    options = parser.parse_args()
    print(f"x{options.ratio}, {options.minutes:g} minutes each\n")
    titles = [*(METRICS[key].title for key in COLUMNS), *PROBES]
    print("| variant | steps | " + " | ".join(titles) + " |")
    print("|---|---|" + "---|" * len(titles))
    for name, settings in VARIANTS.items():
        evaluation, steps = evaluation_of(name, settings, options)
        row, probes = evaluation["rows"][0], evaluation["probes"]
        made_up = (probes["silence_dbfs"], max(probes["lines_db"].values()))
        print(table_row(name, str(steps), row, made_up), flush=True)
    print(table_row("cubic spline", "", evaluation["rows"][1]))


if __name__ == "__main__":
    main()
