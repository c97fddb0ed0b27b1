"""Commands in processes of their own, with their peak memory, and what benchmarks feed them."""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

# The unit of ru_maxrss.
MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(kw_only=True)
class Command:
    """A finished command; `message` is what it wrote to stderr."""

    exit_code: int
    message: str
    seconds: float
    peak_mb: float


def run_tonezoo(*arguments: str | Path) -> Command:
    """Runs the command line in a process of its own."""
    return run(sys.executable, "-m", "tonezoo", *arguments)


def train_anew(recipe: str, run: Path, *words: str | Path, **settings) -> None:
    """Trains a recipe into a folder, in place of what is there, with more words of the command."""
    shutil.rmtree(run, ignore_errors=True)
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    check(run_tonezoo("train", recipe, "--run", run, *words, *options))


def check(command: Command) -> None:
    """Ends the program, with its message, if a command failed."""
    if command.exit_code:
        raise SystemExit(f"The command failed:\n{command.message}")


def run(*words: str | Path) -> Command:
    """Runs a command; standard output is passed on."""
    with tempfile.TemporaryFile("w+") as stderr:
        started = time.perf_counter()
        process = subprocess.Popen([str(word) for word in words], stderr=stderr)
        # wait4, unlike getrusage, tells of this child alone.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        stderr.seek(0)
        message = stderr.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Command(
        exit_code=process.returncode,
        message=message,
        seconds=seconds,
        peak_mb=MAXRSS_BYTES * usage.ru_maxrss / 1e6,
    )


def figures_apart(script: str | Path, *words: str) -> Any:
    """Returns the value of the JSON that ends what a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(script), *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_memory_gb() -> float:
    """Returns the peak memory of this process so far, in 1e9 bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss is that of the process which started this one, where that is larger.
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0]) / 1e9
    return MAXRSS_BYTES * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


def write_noise(path: Path, seconds: float, rate_hz: int, channels: int = 1) -> Path:
    """Writes a 16-bit WAV file in blocks, so that this process stays small."""
    left = round(seconds * rate_hz)
    with soundfile.SoundFile(path, "w", rate_hz, channels, "PCM_16") as file:
        while left:
            block = noise(min(left, 2**20))
            file.write(np.repeat(block[:, None], channels, axis=1))
            left -= len(block)
    return path


def noise(samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, samples).astype("float32")


def print_row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Returns a mean with the smallest and the largest value."""
    return f"{statistics.mean(values):{form}} [{min(values):{form}}, {max(values):{form}}]"
