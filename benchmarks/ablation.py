"""What each part of the training is worth: the paper's ablations and ours on an equal budget.

    python benchmarks/ablation.py --data speech --hold-out p228 --test speech/p228 --minutes 12
    python benchmarks/ablation.py --table speech --steps 3000 --data speech --hold-out p228 ...

Trains every variant of a table below from scratch, on the same patches, for equal time or an equal
number of steps, evaluates it on the test folders and prints a Markdown table, row by row. A variant
whose run is there is not trained again, so that an interrupted table can be finished, and without
--test one machine trains, --jobs runs at a time, what another one evaluates.
"""

import argparse
import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tonezoo.analysis.metrics import METRICS
from tonezoo.recipes.runs import RunFolder, is_run

# Of a run that is given its steps.
EPOCHS = 10
NO_TERMS_OF_OURS = (
    *("spectral_weight=0", "short_spectral_weight=0", "band_level_weight=0"),
    *("loudness_weight=0", "tonal_weight=0"),
)
SMALL_PAPER = ("preset=l4_quarter", *NO_TERMS_OF_OURS)
CRITICS = ("least_squares_weight=1e-4", "feature_matching_weight=2e-3", "critic_preset=eighth")


@dataclasses.dataclass(frozen=True)
class Table:
    """Variants of a recipe.

    Attributes:
        recipe: its name.
        variants: name -> settings of its own, NAME=VALUE.
        settings: of every variant.
        continued: variants that have half the budget, after half of it without their settings.
    """

    recipe: str
    variants: dict[str, tuple[str, ...]]
    settings: tuple[str, ...] = ()
    continued: tuple[str, ...] = ()


TABLES = {
    "small": Table(
        "mu_gan_small",
        {
            "audio U-net of equal size, its own loss": (
                *("model=audio_unet", "preset=l4_seventh", "l2_weight=0", "patch_rms_weight=1"),
                *NO_TERMS_OF_OURS,
            ),
            "MU-GAN, L2 (paper)": SMALL_PAPER,
            "MU-GAN, L2 + L_f (paper)": (*SMALL_PAPER, "feature_weight=1"),
            "MU-GAN, L2 + L_f + L_adv (paper)": (
                *SMALL_PAPER,
                *("feature_weight=1", "adversarial_weight=1e-3"),
            ),
            "MU-GAN, L2 + spectral": ("preset=l4_quarter", "loudness_weight=0", "tonal_weight=0"),
            "band kept, L2 + spectral": ("loudness_weight=0", "tonal_weight=0"),
            "band kept, L2 + spectral + loudness + tonal (mu_gan_small)": (),
        },
    ),
    "paper": Table(
        "mu_gan_vctk_speaker1",
        {
            "L2": ("feature_weight=0", "adversarial_weight=0"),
            "L2 + L_f": ("adversarial_weight=0",),
            "L2 + L_f + L_adv": (),
        },
        settings=(
            *("preset=l4_quarter", "critic_preset=quarter", "layout=folder"),
            *("segment_samples=8192", "autoencoder_epochs=2", "dtype=mixed_bfloat16"),
        ),
    ),
    "speech": Table(
        "band_extender_speech",
        {
            "L2": NO_TERMS_OF_OURS,
            "L2 + spectral": (
                *("spectral_weight=1.2e-3", "short_spectral_weight=0", "band_level_weight=0"),
                *("loudness_weight=0", "tonal_weight=0"),
            ),
            "the same, short windows too": (
                *("band_level_weight=0", "loudness_weight=0", "tonal_weight=0"),
            ),
            "the same + band level": ("loudness_weight=0", "tonal_weight=0"),
            "the same + loudness": ("tonal_weight=0",),
            "the same + tonal (band_extender_speech)": (),
            "the same + critics in the second half": CRITICS,
        },
        # A quarter of 3000 steps, for which the table was made.
        settings=("halving_steps=750",),
        continued=("the same + critics in the second half",),
    ),
}
COLUMNS = ("snr_db", "lsd", "mos_lqo_nb", "mos_lqo_wb", "visqol", "estoi", "low_band_error_db")
PROBES = ("silence in (dBFS out)", "strongest line in noise (dB)")


def tonezoo(*words: str | Path) -> None:
    """Runs the command line in a process of its own: memory starts afresh."""
    command = [sys.executable, "-m", "tonezoo", *map(str, words)]
    # Standard output is the table's.
    subprocess.run(command, check=True, stdout=sys.stderr)


def run_folder(options, name: str) -> Path:
    words = "".join(c if c.isalnum() else "-" for c in name)
    return options.runs / options.table / words


def train(name: str, table: Table, options) -> None:
    """Trains a variant whose run is not there, and before it the run that it continues."""
    run = run_folder(options, name)
    settings = [*table.settings, *table.variants[name]]
    if name not in table.continued:
        train_run(run, table.recipe, settings, options)
        return
    first = run_folder(options, f"before {name}")
    train_run(first, table.recipe, table.settings, options, share=0.5)
    train_run(run, table.recipe, [*settings, f"start_from={first}"], options, share=0.5)


def train_run(run: Path, recipe: str, settings: Sequence[str], options, share: float = 1.0) -> None:
    """Trains a run that is not there; it has another name until it is finished."""
    if is_run(run):
        return
    unfinished = run.with_name(f"{run.name}-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    words: list[str | Path] = [f"--hold-out={pattern}" for pattern in options.hold_out]
    words += ["--data", options.data, "--ratio", str(options.ratio), "--run", unfinished]
    words += ["--max-minutes", str(share * options.minutes)]
    if options.steps:
        steps = round(share * options.steps / EPOCHS)
        settings = [*settings, f"steps_per_epoch={steps}", f"epochs={EPOCHS}"]
    tonezoo("train", recipe, *words, *(f"--set={setting}" for setting in settings))
    unfinished.rename(run)


def evaluation_of(run: Path, options) -> dict:
    done = run / "evaluation.json"
    if not done.exists():
        tonezoo("evaluate", run, "--data", options.test)
    return json.loads(done.read_text())


def table_row(name: str, steps: str, row: dict, made_up: tuple = (None, None)) -> str:
    figures = [*(row["metrics"][key]["mean"] for key in COLUMNS), *made_up]
    cells = ["-" if figure is None else f"{figure:.2f}" for figure in figures]
    return "| " + " | ".join([name, steps, *cells]) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--table", choices=TABLES, default="small", help="default: %(default)s")
    parser.add_argument("--data", type=Path, required=True, help="folder of audio")
    parser.add_argument("--hold-out", action="append", default=[], help="as of tonezoo train")
    parser.add_argument("--test", type=Path, help="folder to evaluate on; without it, train alone")
    parser.add_argument("--ratio", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=12.0, help="each; default: %(default)s")
    parser.add_argument("--steps", type=int, help="each, where the minutes suffice")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; default: 1")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    options = parser.parse_args()
    table = TABLES[options.table]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(lambda name: train(name, table, options), table.variants))
    if options.test is None:
        return
    each = f"{options.steps} steps" if options.steps else f"{options.minutes:g} minutes"
    print(f"x{options.ratio}, {each} each\n")
    titles = [*(METRICS[key].title for key in COLUMNS), *PROBES]
    print("| variant | steps | " + " | ".join(titles) + " |")
    print("|---|---|" + "---|" * len(titles))
    for name in table.variants:
        run = run_folder(options, name)
        evaluation, steps = evaluation_of(run, options), RunFolder(run).trained_steps()
        row, probes = evaluation["rows"][0], evaluation["probes"]
        made_up = (probes["silence_dbfs"], max(probes["lines_db"].values()))
        print(table_row(name, str(steps), row, made_up), flush=True)
    print(table_row("cubic spline", "", evaluation["rows"][1]))


if __name__ == "__main__":
    main()
