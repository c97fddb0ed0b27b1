"""Does training on JAX end where training on TensorFlow does?

    python benchmarks/backends.py --data speech --hold-out p228 --steps 300 --out runs/backends

Trains a recipe on both backends in processes of their own, from one seed, from the same weights and
on the same batches, and prints a Markdown table of the validation losses: of the weights that would
be exported, on patches of the recordings that are held out. Without --data it trains on made-up
speech and validates on other such. A run that is finished is not trained again.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tonezoo.analysis.score_tables import markdown_row
from tonezoo.recipes.runs import RunFolder

BACKENDS = ("tensorflow", "jax")
BATCHES = 32


def train(backend: str, recipe: str, run: Path, words: list[str], settings: dict) -> None:
    if RunFolder(run).read_log():
        return
    options = [f"--set={name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "tonezoo", "train", recipe, "--run", str(run)]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run([*command, *words, *options], check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", default="mu_gan_small", help="of super-resolution")
    parser.add_argument("--data", type=Path, help="folder of audio")
    parser.add_argument("--hold-out", nargs="+", default=[], metavar="PATTERN")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--out", type=Path, default=Path("runs/backends"))
    options = parser.parse_args()
    words = [] if options.data is None else ["--data", str(options.data)]
    words += [f"--hold-out={pattern}" for pattern in options.hold_out]
    words += [f"--set={setting}" for setting in options.settings]
    start = options.out / "start"
    # The backends draw other random numbers: both start from the weights of one step.
    train("tensorflow", options.recipe, start, words, {"steps_per_epoch": 1, "epochs": 1})
    settings = {
        "steps_per_epoch": options.steps,
        "epochs": 1,
        "validation_batches": BATCHES,
        "start_from": start,
    }
    found = {}
    for backend in BACKENDS:
        run = options.out / backend
        train(backend, options.recipe, run, words, settings)
        figures = RunFolder(run).read_log()[-1]
        found[backend] = {n: v for n, v in figures.items() if n.startswith("val_")}
    print(f"\n{options.recipe}, {options.steps} steps\n")
    print(markdown_row(["validation loss", *BACKENDS, "difference"]))
    print(markdown_row(["---"] * (len(BACKENDS) + 2)))
    for name in found["jax"]:
        ours, theirs = (found[backend][name] for backend in BACKENDS)
        difference = f"{100 * (theirs / ours - 1):+.2f} %"
        print(markdown_row([name, f"{ours:.5g}", f"{theirs:.5g}", difference]))


if __name__ == "__main__":
    main()
