"""What each corpus of music brings: a separator trained without one of them at a time.

    python benchmarks/corpora.py --data music --hold-out song_b --test song_b_cut falcon
        --set start_from=runs/demucs_small_modified_subpixel

Trains the recipe on all folders of `--data`, each of which is a corpus, and on all but one, with an
equal number of steps, the same seed and the same songs held out, which choose the weights. Prints a
Markdown table for each test folder: SDR by museval, and how far the mean is from that of all. A run
that is finished is not trained again, and one that is evaluated not evaluated again: for other
steps or settings give other `--runs`.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from commands import check, print_row, run_tonezoo, train_anew

from tonezoo.recipes.runs import is_run

EPOCHS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of one folder per corpus")
    parser.add_argument("--hold-out", required=True, help="folder below --data: it chooses weights")
    parser.add_argument("--test", type=Path, nargs="+", required=True, help="folders of tracks")
    parser.add_argument("--recipe", default="demucs_small_music")
    parser.add_argument("--steps", type=int, default=400, help="each; default: %(default)s")
    parser.add_argument("--set", dest="settings", action="append", default=[], help="KEY=VALUE")
    parser.add_argument("--runs", type=Path, default=Path("runs/corpora"))
    options = parser.parse_args()
    if options.steps < EPOCHS or options.steps % EPOCHS:
        parser.error(f"--steps must be a multiple of {EPOCHS}.")
    if not options.data.is_dir():
        parser.error(f"There is no folder {options.data}.")
    corpora = sorted(folder.name for folder in options.data.iterdir() if folder.is_dir())
    if options.hold_out not in corpora or len(corpora) < 3:
        parser.error(
            f"{options.data} needs {options.hold_out} and two corpora at least, but has "
            f"{', '.join(corpora) or 'no folder'}."
        )
    corpora.remove(options.hold_out)
    runs = {"all": train("all", corpora, options)}
    for left_out in corpora:
        rest = [corpus for corpus in corpora if corpus != left_out]
        runs[f"all but {left_out}"] = train(f"all_but_{left_out}", rest, options)
    for test in options.test:
        print_table(test, {name: evaluated(run, test) for name, run in runs.items()})


def train(name: str, corpora: list[str], options) -> Path:
    """Returns the run on some corpora, trained where that is left to do."""
    run = options.runs / name
    if is_run(run):
        return run
    data = options.runs / "data" / name
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    for corpus in (*corpora, options.hold_out):
        (data / corpus).symlink_to((options.data / corpus).resolve())
    words: list[str | Path] = ["--data", data, "--hold-out", options.hold_out]
    words += [f"--set={setting}" for setting in options.settings]
    unfinished = run.with_name(f"{name}-unfinished")
    steps = options.steps // EPOCHS
    train_anew(options.recipe, unfinished, *words, epochs=EPOCHS, steps_per_epoch=steps)
    return unfinished.rename(run)


def evaluated(run: Path, test: Path) -> dict:
    """Returns the evaluation of a run on a folder, made where that is left to do."""
    out = run / "tests" / test.name
    if not (out / "evaluation.json").exists():
        check(run_tonezoo("evaluate", run, "--data", test, "--out", out))
    return json.loads((out / "evaluation.json").read_text())


def print_table(test: Path, evaluations: dict[str, dict]) -> None:
    """Prints a row per run and that of the mixture, each with its mean less that of all corpora."""
    sources = evaluations["all"]["sources"]
    print(f"\n{test.name}, SDR (dB)\n")
    print_row("trained on", *sources, "mean", "of all")
    print_row(*["---"] * (len(sources) + 3))
    rows = {name: evaluation["rows"][0] for name, evaluation in evaluations.items()}
    baseline = evaluations["all"]["rows"][1]
    best = rows["all"]["metrics"]["sdr_db"]["mean"]
    for name, row in {**rows, baseline["name"]: baseline}.items():
        sdr = row["metrics"]["sdr_db"]
        cells = [f"{sdr['per_source'][source]:.2f}" for source in sources]
        print_row(name, *cells, f"{sdr['mean']:.2f}", f"{sdr['mean'] - best:+.2f}")


if __name__ == "__main__":
    main()
