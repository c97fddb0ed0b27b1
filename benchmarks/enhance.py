"""Measures `tonezoo enhance`: memory by length, 200 files in one call, chunks against whole files.

    python benchmarks/enhance.py [--model MODEL] [--parts memory,files,speed] [--rounds 5]

memory: peak resident memory of the command on files of 10 seconds, 5 minutes and 1 hour, each in a
fresh process. files: the command on 200 short files, 5 of them bad; then what it does to them in
turn with calls of the model alone. speed: chunks, as the command computes them, and one call on the
whole file, in turn with the plain call of the Keras model, whose 5 minutes take some 4 GB. Times
are medians over the rounds, ratios medians of the ratios within a round. The audio is noise.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
import soundfile
from commands import noise, print_row, run_tonezoo, write_noise
from timing import in_turn, median_ratio

from tonezoo.audio.reader import read_audio
from tonezoo.pretrained import load
from tonezoo.serving.manifest import read_manifest, resolve_version
from tonezoo.tasks.super_resolution import TASK
from tonezoo.tasks.super_resolution.engine import SuperResolver
from tonezoo.tasks.super_resolution.files import enhance_files

CHUNK_S = 10.0  # what `tonezoo enhance` does by default
MEMORY_S = {"10 s": 10, "5 min": 300, "1 h": 3600}
MEMORY_REFERENCE = "5 min"
SPEED_S = {"10 s": 10, "60 s": 60, "5 min": 300}
FILES = 200
FILE_S = (0.5, 2.0)


def main() -> None:
    # A process inherits the peak memory of the one that starts it, so that this one must not have
    # loaded TensorFlow before it starts the last command: the order of the parts matters.
    parts = {"memory": measure_memory, "files": measure_files, "speed": measure_speed}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", default=TASK.default_models[0], help="exported model, default %(default)s"
    )
    parser.add_argument("--parts", default=",".join(parts), help="some of: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="timings of every function")
    options = parser.parse_args()
    unknown = set(options.parts.split(",")) - parts.keys()
    if unknown or options.rounds < 1:
        parser.error(f"--parts takes some of {', '.join(parts)}, --rounds 1 or more.")
    try:
        model = resolve_version(options.model)
        manifest = read_manifest(model)
    except ValueError as error:
        parser.error(str(error))
    print(
        f"{manifest['name']} {manifest['version']}, {manifest['parameters']} parameters; "
        f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f} at the start."
    )
    for name in parts:
        if name in options.parts.split(","):
            with tempfile.TemporaryDirectory() as folder:
                parts[name](model, manifest, Path(folder), options.rounds)
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


def measure_memory(model: Path, manifest: dict, folder: Path, rounds: int) -> None:
    """Prints peak memory and duration of the command for each length."""
    done = {}
    for name, seconds in MEMORY_S.items():
        path = write_noise(folder / f"{seconds}.wav", seconds, round(manifest["low_rate_hz"]))
        done[name] = run_tonezoo("enhance", path, "--out", folder / "out", "--model", model)
        if done[name].exit_code:
            raise SystemExit(f"The command failed:\n{done[name].message}")
    print_row("file", "peak memory [MB]", f"of that of {MEMORY_REFERENCE}", "with the start [s]")
    print_row(*4 * ["---"])
    for name, command in done.items():
        ratio = command.peak_mb / done[MEMORY_REFERENCE].peak_mb
        print_row(name, f"{command.peak_mb:.0f}", f"{ratio:.3f}", f"{command.seconds:.1f}")


def measure_files(model: Path, manifest: dict, folder: Path, rounds: int) -> None:
    """Prints what becomes of many files, and the time they take beside the model alone."""
    good, bad = write_files(folder / "in", round(manifest["low_rate_hz"]))
    paths, out = sorted([*good, *bad]), folder / "out"
    command = run_tonezoo("enhance", *paths, "--out", out, "--model", model)
    lines = command.message.splitlines()
    failed = [line for line in lines if line.startswith("failed: ")]
    all_named = all(any(str(path) in line for line in failed) for path in bad)
    outputs = sorted(path.name for path in out.iterdir())
    if command.exit_code != 1 or not all_named or outputs != [path.name for path in good]:
        raise SystemExit(f"Not as it should be, exit code {command.exit_code}:\n{command.message}")
    print(
        f"\n{len(paths)} files, {len(bad)} of them bad: exit code {command.exit_code}, "
        f"{len(failed)} failures named, {len(outputs)} outputs, {command.seconds:.1f} s with the "
        f"start, peak memory {command.peak_mb:.0f} MB.\n{lines[-1]}\n"
    )
    resolver = load(model)
    assert isinstance(resolver, SuperResolver)
    signals = [read_audio(path)[0] for path in good]
    alone = f"the model alone on {len(good)} signals"
    steps = {
        alone: lambda: [resolver.enhance(low, resolver.low_rate_hz) for low in signals],
        # A new folder each time: replacing a file waits for the disk.
        f"{len(paths)} files": lambda: enhance_files(
            paths, tempfile.mkdtemp(dir=folder), resolver, segment_s=CHUNK_S
        ),
    }
    times = in_turn(steps, rounds)
    print_row("what", "seconds", "of the model alone")
    print_row(*3 * ["---"])
    for name, seconds in times.items():
        ratio = median_ratio(seconds, times[alone])
        print_row(name, f"{statistics.median(seconds):.2f}", f"{ratio:.3f}")


def measure_speed(model: Path, manifest: dict, folder: Path, rounds: int) -> None:
    """Prints real-time factors of the Keras model's plain call, and of ours beside it."""
    import keras
    import tensorflow as tf

    from tonezoo.recipes.trained import trained_model

    print(f"\nTensorFlow {tf.__version__}, Keras {keras.__version__}; {rounds} rounds.\n")
    network, resolver = trained_model(model), load(model)
    assert isinstance(resolver, SuperResolver)
    # As trained: the Keras model knows of no strength.
    resolver.strength_db = 0.0
    print_row("file", "what", "seconds", "real-time factor", "of the Keras model's time")
    print_row(*5 * ["---"])
    for length, length_s in SPEED_S.items():
        low = noise(round(length_s * manifest["low_rate_hz"]))
        steps = speed_steps(network, resolver, low)
        expected = steps["Keras model, whole"]()
        for step in steps.values():
            np.testing.assert_allclose(step(), expected, rtol=0, atol=1e-4)
        times = in_turn(steps, rounds)
        for name, seconds in times.items():
            median = statistics.median(seconds)
            ratio = median_ratio(seconds, times["Keras model, whole"])
            print_row(length, name, f"{median:.2f}", f"{length_s / median:.1f}", f"{ratio:.3f}")


def speed_steps(network, resolver, low: np.ndarray) -> dict:
    """Returns the ways of enhancing a signal (time,) that are compared, by name."""
    chunk_samples = round(CHUNK_S * resolver.sample_rate_hz)
    return {
        # axes: (time,) -> (batch, time, 1) -> (time,)
        "Keras model, whole": lambda: network(low[None, :, None], training=False).numpy()[0, :, 0],
        "exported, whole": lambda: resolver.enhance(low, resolver.low_rate_hz),
        f"exported, chunks of {CHUNK_S:g} s": lambda: np.concatenate(
            list(resolver.stream([low[:, None]], chunk_samples))
        )[:, 0],
    }


def write_files(folder: Path, rate_hz: int) -> tuple[list[Path], list[Path]]:
    """Writes short files of various lengths; returns the good ones and the bad ones."""
    lengths_s = np.random.default_rng(0).uniform(*FILE_S, FILES)
    folder.mkdir()
    paths = [
        write_noise(folder / f"{index:03d}.wav", length_s, rate_hz)
        for index, length_s in enumerate(lengths_s)
    ]
    empty, cut, text, not_finite, high_rate = bad = paths[FILES // 10 :: FILES // 5]
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:-1000])
    text.write_text("This is not audio.\n")
    soundfile.write(not_finite, np.full(rate_hz, np.nan), rate_hz, subtype="FLOAT")
    write_noise(high_rate, 1, 8 * rate_hz)
    return [path for path in paths if path not in bad], bad


if __name__ == "__main__":
    main()
