"""The newer layers of vocoders beside the old ones, each in a small vocoder trained equally long.

    python benchmarks/newer_layers.py [--steps 200] [--seeds 2] [--rows nearest,kaiser]
        [--out runs/newer_layers]

The vocoder has a convolution, for each of the strides 8, 8, 2 and 2 an activation, an upsampling
layer and a residual convolution, and a last convolution, all at Keras's default start: in every row
the same, but for what the row is named after. It learns from procedural speech by the losses of
`melgan_small`. Prints a Markdown table: means over seeds, with the smallest and the largest, of the
loss on clips that it was not trained on, and of the strongest line in dB that white noise and
silence leave; and parameters. A row that is measured is not trained again.
"""

import argparse
import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from commands import print_row, spread
from keras import layers

from tonezoo.analysis.artifacts.report import measure_model
from tonezoo.analysis.artifacts.sources import keras_model
from tonezoo.files import atomic_path
from tonezoo.layers import FilteredActivation1D, NoisePath1D, SnakeBeta1D, upsampler
from tonezoo.models.base import VocodingModel
from tonezoo.recipes import load_recipe
from tonezoo.recipes.corpus.speech import procedural_corpus
from tonezoo.recipes.vocoding import Config

BANDS, WIDTH, STRIDES = 80, 64, (8, 8, 2, 2)
# Of the clips that it is tested on; those that it learns from have seed 0.
CLIP_SEED, CLIPS, CLIP_S = 1000, 8, 1.0
SETTINGS = {"dtype": "float32", "batch_size": 8, "ema_momentum": 0.0}


def leaky_relu():
    return layers.LeakyReLU(0.2)


@dataclasses.dataclass(frozen=True)
class Row:
    """What a vocoder is built of."""

    upsampler: str = "transposed"
    activation: Callable = leaky_relu
    noise_path: bool = False


ROWS = {
    "transposed": Row(),
    "nearest": Row("nearest"),
    "kaiser": Row("kaiser"),
    "kaiser and noise path": Row("kaiser", noise_path=True),
    "transposed, filtered LeakyReLU": Row(activation=lambda: FilteredActivation1D(leaky_relu())),
    "transposed, SnakeBeta": Row(activation=SnakeBeta1D),
    "transposed, filtered SnakeBeta": Row(activation=lambda: FilteredActivation1D(SnakeBeta1D())),
    "transposed, antiderivative SnakeBeta": Row(
        activation=lambda: SnakeBeta1D(antiderivative=True)
    ),
}


class SmallVocoder(VocodingModel):
    """See the top of this file."""

    def __init__(self, row: Row):
        super().__init__(BANDS, int(np.prod(STRIDES)), sample_rate_hz=22_050)
        self.first = layers.Conv1D(WIDTH, 7, padding="same")
        self.stages = []
        passed = 1
        for level, stride in enumerate(STRIDES):
            filters = WIDTH // 2 ** (level + 1)
            passed *= stride
            taps = 2 * stride + (row.upsampler != "transposed")
            self.stages.append(
                {
                    "before": row.activation(),
                    "up": upsampler(row.upsampler, filters, taps, stride),
                    "high": NoisePath1D(filters, passed, stride) if row.noise_path else None,
                    "between": row.activation(),
                    "residual": layers.Conv1D(filters, 7, dilation_rate=3, padding="same"),
                }
            )
        self.last = layers.Conv1D(1, 7, padding="same", activation="tanh")

    def call(self, mel, training=False):
        first = x = self.first(mel)
        for stage in self.stages:
            x = stage["up"](stage["before"](x))
            if stage["high"] is not None:
                x = x + stage["high"](first)
            x = x + stage["residual"](stage["between"](x))
        return self.last(x)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowConfig(Config):
    """`melgan_small` with the vocoder of a row."""

    row: str = "transposed"

    def new_model(self, dtype="float32"):
        model = SmallVocoder(ROWS[self.row])
        model(np.zeros((1, 32, BANDS)))
        return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", default=";".join(ROWS), help="separated by semicolons")
    parser.add_argument("--out", type=Path, default=Path("runs/newer_layers"))
    options = parser.parse_args()
    rows = options.rows.split(";")
    if unknown := set(rows) - set(ROWS):
        parser.error(f"--rows has no {'; '.join(unknown)}, only {'; '.join(ROWS)}.")
    print(f"{options.steps} steps, {options.seeds} seeds: mean [smallest, largest].\n")
    print_row("vocoder", "held-out loss", "line in noise (dB)", "in silence (dB)", "parameters")
    print_row("---", *4 * ["---:"])
    for row in rows:
        found = [measured(row, seed, options) for seed in range(options.seeds)]
        print_row(
            row,
            spread([run["loss"] for run in found], ".3f"),
            spread([run["noise"] for run in found], ".0f"),
            spread([run["silence"] for run in found], ".0f"),
            f"{found[0]['parameters']:,}",
        )


def measured(row: str, seed: int, options) -> dict:
    """Returns the figures of a row, from its file if it is there."""
    path = options.out / f"{row.replace(', ', '-').replace(' ', '_')}-{options.steps}-{seed}.json"
    if not path.is_file():
        figures = trained(row, seed, options.steps)
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(figures), encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


def trained(row: str, seed: int, steps: int) -> dict:
    """Trains a row and measures it."""
    small = load_recipe("melgan_small").config
    values = {field.name: getattr(small, field.name) for field in dataclasses.fields(Config)}
    own = {**SETTINGS, "seed": seed, "epochs": 1, "steps_per_epoch": steps}
    cfg = RowConfig(**{**values, **own, "row": row})
    keras.utils.set_random_seed(seed)
    experiment = cfg.build(cfg.data_source(None, lambda line: None), 1)
    (phase,) = experiment.phases
    phase.model.fit(phase.dataset(0), steps_per_epoch=steps, shuffle=False, verbose=0)
    network = experiment.networks[cfg.MAIN_NETWORK]
    corpus = procedural_corpus(
        seed=CLIP_SEED, clips=CLIPS, segment_s=CLIP_S, sample_rate_hz=network.sample_rate_hz
    )
    clips = np.stack(list(corpus.values()))
    clips = clips[:, : clips.shape[1] // network.hop_samples * network.hop_samples, None]
    loss = phase.model.evaluate(clips, batch_size=len(clips), verbose=0, return_dict=True)["loss"]
    report = measure_model(keras_model(network), inputs=["silence", "noise"])
    lines = {probe.name: round(probe.line_db, 2) for probe in report.probes}
    return {"loss": float(loss), **lines, "parameters": network.count_params()}


if __name__ == "__main__":
    main()
