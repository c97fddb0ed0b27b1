"""Every model and preset: what is known of it, its speed on two cores and its peak memory.

    python benchmarks/models.py [--seconds 3] [--out docs/models.md]

Each model of audio runs in a process of its own, on two threads: a signal of so many seconds of
noise at the model's rate, twice after a first time, of which the faster one counts. The real-time
factor is its time over the signal's; memory is the peak of the process, with the 1 GB or so that
Keras and TensorFlow take.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

from commands import figures_apart, peak_memory_gb

THREADS = 2
TITLES = ("real-time factor", "peak memory (GB)")
START = "<!-- table -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of the signal")
    parser.add_argument("--out", type=Path, help="page whose table is replaced")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "PRESET"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], options.one[1], options.seconds)))
        return
    from tonezoo.model_table import model_table
    from tonezoo.models.base import AudioModel
    from tonezoo.registry import model_entry, model_rows

    measured = {}
    for row in model_rows():
        key = (row["name"], row["preset"])
        # Critics are not run on audio.
        if not issubclass(model_entry(row["name"]).model, AudioModel):
            continue
        measured[key] = measure_apart(*key, options.seconds)
        print(*key, *measured[key], file=sys.stderr, flush=True)
    table = "\n".join(model_table(TITLES, measured))
    if options.out is None:
        print(table)
        return
    head = options.out.read_text(encoding="utf-8").split(START)[0]
    options.out.write_text(f"{head}{START}\n\n{table}\n", encoding="utf-8")


def measure_apart(name: str, preset: str, seconds: float) -> tuple[str, str]:
    """Returns the cells of a preset's real-time factor and peak memory, by a process of its own."""
    figures = figures_apart(__file__, "--one", name, preset, "--seconds", str(seconds))
    return f"{figures['factor']:.3g}", f"{figures['peak_gb']:.2g}"


def measure(name: str, preset: str, seconds: float) -> dict[str, float]:
    """Returns real-time factor and peak memory of a preset."""
    import numpy as np
    import tensorflow as tf

    from tonezoo.registry import create_model

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    model = create_model(name, preset=preset)
    per_step = model.hop_samples if model.task == "vocoding" else getattr(model, "ratio", 1)
    samples = round(seconds * model.sample_rate_hz) // per_step
    signal = np.random.default_rng(0).normal(0, 0.1, (1, samples, model.channels))
    call, signal = tf.function(model), tf.constant(signal, "float32")
    times = []
    for _ in range(3):
        started = time.perf_counter()
        call(signal).numpy()
        times.append(time.perf_counter() - started)
    # The first one traces.
    return {"factor": min(times[1:]) / seconds, "peak_gb": peak_memory_gb()}


if __name__ == "__main__":
    main()
