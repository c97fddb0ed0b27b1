"""Does training remove upsampling artifacts? Lines of small models before, along and after it.

    python benchmarks/role_of_training.py [--steps 150] [--seeds 2] [--rows nearest,melgan_nearest]
        [--out runs/role_of_training] [--picture docs/role_of_training.png]

Trains the small Demucs with the six upsamplers of the upsampling paper's Table 1, with kaiser
interpolation and with a calm start, and the small MelGAN with four upsamplers and with filtered
activations, on procedural songs and speech, equal steps each, once for every seed, which is that of
the weights and of the batches. At the start and after every fifth of the steps it measures what
`tonezoo artifacts` does: the prominence of the strongest line on the grid of the layers, of digital
silence, of a clip that is like the training data and of white noise, which is not. Prints a
Markdown table: means over the seeds, with the smallest and the largest, and the loss of the last
fifth. A row that is measured is not trained again.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from commands import spread

from tonezoo.analysis.artifacts.report import measure_model
from tonezoo.analysis.artifacts.sources import keras_model
from tonezoo.analysis.spectrogram import import_matplotlib
from tonezoo.files import atomic_path
from tonezoo.layers import calm_start
from tonezoo.recipes import load_recipe
from tonezoo.recipes.config import override
from tonezoo.recipes.corpus.songs import procedural_stems
from tonezoo.recipes.corpus.speech import procedural_corpus

SEPARATION = ("segment_s=1.0", "batch_size=4")
VOCODING = ("dtype=float32", "batch_size=8")
TABLE1 = (
    *("transposed", "modified_transposed", "nearest"),
    *("linear", "subpixel", "modified_subpixel"),
)
MEL_GAN = ("transposed", "nearest", "subpixel", "kaiser")
CALM = "transposed_calm_start"
# Row -> recipe and settings.
ROWS = {
    **{row: (f"demucs_small_{row}", SEPARATION) for row in TABLE1},
    CALM: ("demucs_small_transposed", SEPARATION),
    "kaiser": ("demucs_small_nearest", (*SEPARATION, "upsampler=kaiser")),
    **{f"melgan_{kind}": ("melgan_small", (*VOCODING, f"upsampler={kind}")) for kind in MEL_GAN},
    "melgan_transposed_filtered_activations": (
        "melgan_small",
        (*VOCODING, "upsampler=transposed", "filtered_activations=True"),
    ),
}
STAGES = 5
# Of the clip that is like the training data; those train with seed 0.
CLIP_SEED, CLIP_S = 1000, 4.0
SILENCE, CLIP, NOISE = "silence", "clip", "noise"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=150, help="of each run, a multiple of 5")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", default=",".join(ROWS), help="separated by commas")
    parser.add_argument("--out", type=Path, default=Path("runs/role_of_training"))
    parser.add_argument("--picture", type=Path, help="PNG of the lines along training")
    options = parser.parse_args()
    rows = options.rows.split(",")
    if options.steps < STAGES or options.steps % STAGES:
        parser.error(f"--steps must be a multiple of {STAGES}.")
    if unknown := set(rows) - set(ROWS):
        parser.error(f"--rows has no {', '.join(unknown)}, only {', '.join(ROWS)}.")
    curves = {row: [measured(row, seed, options) for seed in range(options.seeds)] for row in rows}
    print_table(curves, options.steps)
    if options.picture:
        draw(curves, options.picture)


def measured(row: str, seed: int, options) -> list[dict]:
    """Returns the points along the training of a row, from its file if it is there."""
    path = options.out / f"{row}-{options.steps}-{seed}.json"
    if not path.is_file():
        points = trained(row, seed, options.steps)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(points, indent=1), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def trained(row: str, seed: int, steps: int) -> list[dict]:
    """Trains a row, measuring at every stage."""
    recipe, settings = ROWS[row]
    per_stage = steps // STAGES
    settings = (*settings, f"seed={seed}", f"epochs={STAGES}")
    cfg = override(load_recipe(recipe).config, settings)
    keras.utils.set_random_seed(seed)
    experiment = cfg.build(cfg.data_source(None, lambda line: None), 1)
    network = experiment.networks[cfg.MAIN_NETWORK]
    if row == CALM:
        calm_start(network)
    phase = experiment.phases[-1]
    audio = clip(network)
    points = [{"step": 0, **lines(network, audio)}]
    for done in range(0, steps, per_stage):
        started = time.monotonic()
        history = phase.model.fit(
            phase.dataset(done),
            initial_epoch=done // per_stage,
            epochs=done // per_stage + 1,
            steps_per_epoch=per_stage,
            callbacks=list(phase.callbacks),
            shuffle=False,
            verbose=0,
        )
        loss = history.history["loss"][-1]
        points.append({"step": done + per_stage, "loss": loss, **lines(network, audio)})
        seconds = time.monotonic() - started
        print(f"{row}, seed {seed}: {points[-1]} ({seconds:.0f} s)", flush=True)
    return points


def clip(network) -> np.ndarray:
    """Returns audio like the training data, (time, channels), at the network's rate and level."""
    rate_hz = network.sample_rate_hz
    if network.task == "separation":
        options = {"seed": CLIP_SEED, "tracks": 1, "track_s": CLIP_S, "sample_rate_hz": rate_hz}
        (stems,) = procedural_stems(**options).values()
        mixture = np.sum(list(stems.values()), axis=0)
        return mixture / mixture.std()
    options = {"seed": CLIP_SEED, "clips": 1, "segment_s": CLIP_S, "sample_rate_hz": rate_hz}
    return procedural_corpus(**options)["speech_000"][:, None]


def lines(network, audio: np.ndarray) -> dict[str, float]:
    """Returns the prominence in dB of the strongest line, by input, 0 where none stands out."""
    report = measure_model(
        keras_model(network),
        inputs=[SILENCE, NOISE],
        recordings={CLIP: (audio, network.sample_rate_hz)},
    )
    return {probe.name: round(probe.line_db, 2) for probe in report.probes}


def print_table(curves: dict[str, list[list[dict]]], steps: int) -> None:
    """Prints a table: rows x inputs, at the start and at the end."""
    seeds = len(next(iter(curves.values())))
    print(f"Strongest line in dB, 0 where none stands out; {steps} steps, {seeds} seeds.\n")
    columns = [(where, name) for name in (SILENCE, CLIP, NOISE) for where in ("start", "end")]
    print(f"| upsampling | {' | '.join(f'{name}, {where}' for where, name in columns)} | loss |")
    print("|---|" + "---:|" * (len(columns) + 1))
    for row, runs in curves.items():
        cells = [
            spread([points[0 if where == "start" else -1][name] for points in runs], ".0f")
            for where, name in columns
        ]
        cells.append(spread([points[-1]["loss"] for points in runs], ".3f"))
        print(f"| {row.replace('_', ' ')} | {' | '.join(cells)} |")


def draw(curves: dict[str, list[list[dict]]], path: Path) -> None:
    """Writes a PNG: a panel for each input, the mean over seeds along training."""
    figure = import_matplotlib().figure.Figure(figsize=(9.5, 3.2), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for panel, name in zip(panels, (SILENCE, CLIP, NOISE), strict=True):
        for number, (row, runs) in enumerate(curves.items()):
            middle = np.mean([[point[name] for point in points] for points in runs], axis=0)
            style = "--" if row.startswith("melgan") else "-"
            at = [point["step"] for point in runs[0]]
            panel.plot(at, middle, style, color=f"C{number}", label=row.replace("_", " "))
        panel.set(title=name, xlabel="step")
        panel.grid(alpha=0.3, linewidth=0.5)
    panels[0].set_ylabel("strongest line (dB)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


if __name__ == "__main__":
    main()
