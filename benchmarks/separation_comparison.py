"""The six rows of the upsampling paper's Table 1 at small size, on an equal budget of steps.

    python benchmarks/separation_comparison.py [--steps 800] [--seeds 3] [--runs runs/separation]

Trains every `demucs_small` recipe on the procedural corpus, once for each seed, which is that of
the weights, the batches and the training tracks; evaluates it on procedural tracks that none was
trained on; and prints a Markdown table: SDR by museval as the mean over seeds, with the smallest
and the largest. A run that is finished is not trained again, and one that is evaluated not
evaluated again.
An epoch is 50 steps; its time is that of steps taken in turn by all six in one process.
"""

import argparse
import json
import os
import shutil
import statistics
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
from commands import print_row, run_tonezoo
from timing import in_turn, median_ratio

from tonezoo.analysis.published import SEPARATION_SDR
from tonezoo.recipes import load_recipe
from tonezoo.recipes.runs import RunFolder, is_run

ROWS = (
    *("transposed", "modified_transposed", "nearest", "linear"),
    *("subpixel", "modified_subpixel"),
)
EPOCH_STEPS = 50
PAPER_EPOCH_S = (319, 326, 423, 430, 311, 315)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800, help="of each run, a multiple of 50")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/separation"))
    parser.add_argument("--rounds", type=int, default=10, help="timings of every step")
    options = parser.parse_args()
    if options.steps < EPOCH_STEPS or options.steps % EPOCH_STEPS:
        parser.error(f"--steps must be a multiple of {EPOCH_STEPS}.")
    evaluations = {
        row: [evaluated(row, seed, options) for seed in range(options.seeds)] for row in ROWS
    }
    times, parameters = epoch_times(options.rounds)
    sources = evaluations[ROWS[0]][0]["sources"]
    print(
        f"{options.steps} steps per run, seeds 0 to {options.seeds - 1}; SDR (dB): mean [smallest, "
        f"largest] over seeds; {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}.\n"
    )
    titles = ("epoch (s)", "of transposed", "paper's", "parameters")
    print_row("upsampler", *sources, "mean", *titles, "paper's SDR")
    print_row(*["---"] * (len(sources) + 7))
    for row, paper_epoch_s in zip(ROWS, PAPER_EPOCH_S, strict=True):
        found = [evaluation["rows"][0]["metrics"]["sdr_db"] for evaluation in evaluations[row]]
        print_row(
            row.replace("_", " "),
            *(spread([sdr["per_source"][source] for sdr in found]) for source in sources),
            spread([sdr["mean"] for sdr in found]),
            f"{EPOCH_STEPS * statistics.median(times[row]):.1f}",
            f"{median_ratio(times[row], times['transposed']):.2f}",
            f"{paper_epoch_s / PAPER_EPOCH_S[0]:.2f}",
            f"{parameters[row]:,}",
            f"{SEPARATION_SDR[row.replace('_', ' ')]:.2f}",
        )
    baseline = evaluations[ROWS[0]][0]["rows"][1]
    sdr = baseline["metrics"]["sdr_db"]
    cells = [f"{sdr['per_source'][source]:.2f}" for source in sources]
    print_row(baseline["name"], *cells, f"{sdr['mean']:.2f}", *["-"] * 5)


def evaluated(row: str, seed: int, options) -> dict:
    """Returns the evaluation of a run, training and evaluating it where that is left to do."""
    run = options.runs / f"{row}-seed{seed}"
    if not is_run(run) or RunFolder(run).trained_steps() != options.steps:
        shutil.rmtree(run, ignore_errors=True)
        settings = {
            "seed": seed,
            "steps_per_epoch": EPOCH_STEPS,
            "epochs": options.steps // EPOCH_STEPS,
        }
        words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        check(run_tonezoo("train", f"demucs_small_{row}", "--run", run, *words))
    if not (run / "evaluation.json").exists():
        check(run_tonezoo("evaluate", run))
    return json.loads((run / "evaluation.json").read_text())


def check(command) -> None:
    if command.exit_code:
        raise SystemExit(f"The command failed:\n{command.message}")


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


def epoch_times(rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Returns seconds of a step, forward, backward and update, and parameters, of each row."""
    from tonezoo.training import SupervisedTrainer

    steps, parameters = {}, {}
    for row in ROWS:
        cfg = load_recipe(f"demucs_small_{row}").config
        model = cfg.new_model()
        parameters[row] = model.count_params()
        steps[row] = training_step(SupervisedTrainer(model), cfg)
    return in_turn(steps, rounds), parameters


def training_step(trainer, cfg):
    import keras

    model = trainer.model
    samples = model.valid_length(round(cfg.segment_s * cfg.sample_rate_hz))
    rng = np.random.default_rng(0)
    mixture = rng.standard_normal((cfg.batch_size, samples, cfg.channels)).astype("float32")
    shape = (cfg.batch_size, model.output_length(samples), len(model.sources), cfg.channels)
    targets = rng.standard_normal(shape).astype("float32")
    trainer.compile(keras.optimizers.Adam(cfg.learning_rate))
    return lambda: trainer.train_on_batch(mixture, targets)


if __name__ == "__main__":
    main()
