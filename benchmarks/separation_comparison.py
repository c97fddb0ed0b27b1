"""The rows of the upsampling paper's Table 1 and other separators, small, at equal steps.

    python benchmarks/separation_comparison.py [--steps 800] [--seeds 3] [--runs runs/separation]
        [--rows nearest,wave_unet,open_unmix,sams_net]

Trains every `demucs_small` recipe and those of the other separators on the procedural corpus, once
for each seed, which is that of the weights, the batches and the training tracks; evaluates it on
procedural tracks that none was trained on; and prints a Markdown table: SDR by museval as the mean
over seeds, with the smallest and the largest. A run that is finished is not trained again, and one
that is evaluated not evaluated again.
An epoch is 50 steps; its time is that of steps taken in turn by all rows in one process. The last
two columns are of inference, as benchmarks/models.py measures it: time per second of audio, and the
peak memory of a process that does it.
"""

import argparse
import json
import os
import statistics
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
from commands import check, print_row, run_tonezoo, spread, train_anew
from models import measure_apart
from timing import in_turn, median_ratio

from tonezoo.analysis.published import SEPARATION_SDR
from tonezoo.recipes import load_recipe
from tonezoo.recipes.runs import RunFolder, is_run

# The paper's seconds per epoch of the rows of its Table 1.
TABLE1_EPOCH_S = {
    "transposed": 319,
    "modified transposed": 326,
    "nearest": 423,
    "linear": 430,
    "subpixel": 311,
    "modified subpixel": 315,
}
RECIPES = {
    **{row: f"demucs_small_{row.replace(' ', '_')}" for row in TABLE1_EPOCH_S},
    **{row: f"{row}_small" for row in ("wave_unet", "open_unmix", "sams_net")},
}
EPOCH_STEPS = 50
INFERENCE_S = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800, help="of each run, a multiple of 50")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/separation"))
    parser.add_argument("--rows", default=",".join(RECIPES), help="separated by commas")
    parser.add_argument("--rounds", type=int, default=10, help="timings of every step")
    options = parser.parse_args()
    rows = [row.strip() for row in options.rows.split(",")]
    if options.steps < EPOCH_STEPS or options.steps % EPOCH_STEPS:
        parser.error(f"--steps must be a multiple of {EPOCH_STEPS}.")
    if unknown := set(rows) - set(RECIPES):
        parser.error(f"--rows has no {', '.join(unknown)}, only {', '.join(RECIPES)}.")
    evaluations = {
        row: [evaluated(row, seed, options) for seed in range(options.seeds)] for row in rows
    }
    # First: a process counts what the one that starts it has in memory as its own peak.
    inferences = {row: inference(row) for row in rows}
    times, parameters = epoch_times(rows, options.rounds)
    sources = evaluations[rows[0]][0]["sources"]
    print(
        f"{options.steps} steps per run, seeds 0 to {options.seeds - 1}; SDR (dB): mean [smallest, "
        f"largest] over seeds; {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}.\n"
    )
    first = rows[0]
    titles = ("epoch (s)", f"of {first}", "paper's", "parameters", "paper's SDR")
    print_row("row", *sources, "mean", *titles, "s per s of audio", "peak memory (GB)")
    print_row(*["---"] * (len(sources) + 9))
    for row in rows:
        found = [evaluation["rows"][0]["metrics"]["sdr_db"] for evaluation in evaluations[row]]
        of_table1 = {first, row} <= set(TABLE1_EPOCH_S)
        print_row(
            row,
            *(spread([sdr["per_source"][source] for sdr in found]) for source in sources),
            spread([sdr["mean"] for sdr in found]),
            f"{EPOCH_STEPS * statistics.median(times[row]):.1f}",
            f"{median_ratio(times[row], times[first]):.2f}",
            f"{TABLE1_EPOCH_S[row] / TABLE1_EPOCH_S[first]:.2f}" if of_table1 else "-",
            f"{parameters[row]:,}",
            f"{SEPARATION_SDR[row]:.2f}" if row in SEPARATION_SDR else "-",
            *inferences[row],
        )
    baseline = evaluations[first][0]["rows"][1]
    sdr = baseline["metrics"]["sdr_db"]
    cells = [f"{sdr['per_source'][source]:.2f}" for source in sources]
    print_row(baseline["name"], *cells, f"{sdr['mean']:.2f}", *["-"] * 7)


def inference(row: str) -> tuple[str, str]:
    """Returns seconds per second of audio and peak memory in GB, in a process of its own."""
    cfg = load_recipe(RECIPES[row]).config
    return measure_apart(cfg.model, str(cfg.preset), INFERENCE_S)


def evaluated(row: str, seed: int, options) -> dict:
    """Returns the evaluation of a run, training and evaluating it where that is left to do."""
    run = options.runs / f"{row.replace(' ', '_')}-seed{seed}"
    if not is_run(run) or RunFolder(run).trained_steps() != options.steps:
        train_anew(
            RECIPES[row],
            run,
            seed=seed,
            steps_per_epoch=EPOCH_STEPS,
            epochs=options.steps // EPOCH_STEPS,
        )
    if not (run / "evaluation.json").exists():
        check(run_tonezoo("evaluate", run))
    return json.loads((run / "evaluation.json").read_text())


def epoch_times(rows: list[str], rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Returns seconds of a step, forward, backward and update, and parameters, of each row."""
    from tonezoo.training import SupervisedTrainer

    steps, parameters = {}, {}
    for row in rows:
        cfg = load_recipe(RECIPES[row]).config
        parameters[row] = cfg.new_model().count_params()
        steps[row] = training_step(SupervisedTrainer(cfg.new_model(cfg.dtype)), cfg)
    return in_turn(steps, rounds), parameters


def training_step(trainer, cfg):
    import keras

    model = trainer.model
    samples = model.valid_length(round(cfg.segment_s * cfg.sample_rate_hz))
    rng = np.random.default_rng(0)
    mixture = rng.standard_normal((cfg.batch_size, samples, cfg.channels)).astype("float32")
    shape = (cfg.batch_size, model.output_length(samples), len(model.sources), cfg.channels)
    targets = rng.standard_normal(shape).astype("float32")
    trainer.compile(keras.optimizers.Adam(cfg.learning_rate), loss=cfg.loss)
    return lambda: trainer.train_on_batch(mixture, targets)


if __name__ == "__main__":
    main()
