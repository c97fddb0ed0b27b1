"""Measures `tonezoo batch enhance` beside `tonezoo enhance` on the same files.

    python benchmarks/batch.py [--model MODEL] [--files 200] [--seconds 5] [--rounds 3]

Each command runs in a process of its own, start included, in turn with the others; times are
medians over the rounds, ratios medians of the ratios within a round. Then the outputs are compared.
The audio is noise.
"""

import argparse
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from commands import check, print_row, run_tonezoo, write_noise
from timing import median_ratio

from tonezoo.serving.manifest import read_facts, resolve_version
from tonezoo.tasks.super_resolution import TASK

ALONE = "tonezoo enhance"


def commands(files: int) -> dict[str, tuple[str, ...]]:
    """Returns the options of `tonezoo batch enhance` that are compared, by name."""
    one_round = ("--files-at-once", str(files))
    two = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    return {
        "tonezoo batch enhance": one_round,
        "in four rounds": ("--files-at-once", str(-(-files // 4))),
        "8 chunks at once": (*one_round, "--batch-size", "8"),
        "2 processes": (*one_round, *two),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", default=TASK.default_models[0], help="exported model, default %(default)s"
    )
    parser.add_argument("--files", type=int, default=200, help="how many, default %(default)s")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each, default %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="timings of every command")
    options = parser.parse_args()
    if min(options.files, options.rounds) < 1 or options.seconds <= 0:
        parser.error("--files and --rounds take 1 or more, --seconds more than 0.")
    try:
        low_rate_hz = round(read_facts(resolve_version(options.model))["low_rate_hz"])
    except (ValueError, KeyError) as error:
        parser.error(f"no model of super-resolution: {error}")
    print(
        f"{options.files} files of {options.seconds:g} s, {options.model}; {os.cpu_count()} CPU "
        f"cores, load {os.getloadavg()[0]:.1f} at the start; {options.rounds} rounds.\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        for index in range(options.files):
            write_noise(source / f"{index:04d}.wav", options.seconds, low_rate_hz)
        times = measure(source, Path(folder), options.model, options.rounds)
    print_row("command", "seconds", "files per second", f"times those of {ALONE}")
    print_row(*4 * ["---"])
    for name, seconds in times.items():
        median = statistics.median(seconds)
        ratio = median_ratio(times[ALONE], seconds)
        print_row(name, f"{median:.1f}", f"{options.files / median:.2f}", f"{ratio:.2f}")
    print(f"\nThe outputs are the same. Load {os.getloadavg()[0]:.1f} at the end.")


def measure(source: Path, folder: Path, model: str, rounds: int) -> dict[str, list[float]]:
    """Returns the seconds that each command takes in each round, after comparing the outputs."""
    times: dict[str, list[float]] = {}
    # Whole numbers: the bytes of a float WAV file hold the time at which it was written.
    settings = ("--model", model, "--bit-depth", "16")
    for turn in range(rounds):
        alone = folder / f"alone {turn}"
        command = run_tonezoo("enhance", source, "--out", alone, *settings)
        check(command)
        times.setdefault(ALONE, []).append(command.seconds)
        for name, words in commands(len(list(source.iterdir()))).items():
            out = folder / f"{name} {turn}"
            where = ("--input", source, "--output", out)
            command = run_tonezoo("batch", "enhance", *where, *settings, *words)
            check(command)
            times.setdefault(name, []).append(command.seconds)
            for path in sorted(alone.iterdir()):
                compare(path, out / path.name, exactly="--batch-size" not in words)
    return times


def compare(path: Path, other: Path, exactly: bool) -> None:
    """Ends the program if two recordings differ, by more than a step of 16 bits or at all."""
    import numpy as np
    import soundfile

    one, two = (soundfile.read(file, dtype="int16")[0].astype(int) for file in (path, other))
    if one.shape != two.shape or np.abs(one - two).max() > (0 if exactly else 1):
        raise SystemExit(f"{other} is not what {ALONE} makes.")


if __name__ == "__main__":
    main()
