"""What a training step gains by keeping the memory that it frees (`tonezoo.memory`).

    python benchmarks/freed_memory.py [--recipes demucs_small_music,...] [--steps 5] [--rounds 3]

How the C library hands out memory is a process's, once and for all: each recipe trains on
procedural data in processes with it and without it, in turn. Prints a Markdown table of medians:
seconds of a step, what of both cores' time the kernel took, and the peak memory.
"""

import argparse
import json
import os
import statistics

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

from commands import figures_apart, peak_memory_gb, print_row

RECIPES = "demucs_small_music,band_extender_speech"
UNTIMED = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", default=RECIPES, help="separated by commas")
    parser.add_argument("--steps", type=int, default=5, help="timed, of each process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each kind")
    parser.add_argument("--one", nargs=2, metavar=("RECIPE", "WAY"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        recipe, way = options.one
        print(json.dumps(measure(recipe, way, options.steps)))
        return
    print(f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}.\n")
    ways = ("freed", "kept")
    kinds = ("step (s)", "kernel's share", "peak memory (GB)")
    print_row("recipe", *(f"{kind}, {way}" for kind in kinds for way in ways), "step, of freed")
    print_row(*["---"] * (2 + len(kinds) * len(ways)))
    for recipe in options.recipes.split(","):
        rounds = [
            {
                way: figures_apart(__file__, "--one", recipe, way, "--steps", str(options.steps))
                for way in ways
            }
            for _ in range(options.rounds)
        ]
        ratio = statistics.median(one["kept"]["step_s"] / one["freed"]["step_s"] for one in rounds)
        cells = (
            f"{statistics.median(one[way][key] for one in rounds):.2f}"
            for key in ("step_s", "kernel_share", "peak_gb")
            for way in ways
        )
        print_row(recipe, *cells, f"{ratio:.2f}")


def measure(recipe: str, way: str, steps: int) -> dict[str, float]:
    """Returns the figures of a recipe's last phase, in this process."""
    import resource
    import time

    from tonezoo.memory import keep_freed_memory

    if way == "kept" and not keep_freed_memory():
        raise SystemExit("This is about glibc, which is not the C library here.")
    from tonezoo.recipes import load_recipe

    cfg = load_recipe(recipe).config
    phase = cfg.build(cfg.data_source(None), 1).phases[-1]
    batches = [batch for batch, _ in zip(phase.dataset(0), range(UNTIMED + steps), strict=False)]
    times, kernel = [], []
    for batch in batches:
        before, started = resource.getrusage(resource.RUSAGE_SELF).ru_stime, time.perf_counter()
        phase.model.train_on_batch(*batch)
        times.append(time.perf_counter() - started)
        kernel.append(resource.getrusage(resource.RUSAGE_SELF).ru_stime - before)
    return {
        "step_s": statistics.median(times[UNTIMED:]),
        "kernel_share": sum(kernel[UNTIMED:]) / sum(times[UNTIMED:]) / (os.cpu_count() or 1),
        "peak_gb": peak_memory_gb(),
    }


if __name__ == "__main__":
    main()
