"""How long a step takes two workers of one core each, beside one process on one core and on two.

    python benchmarks/multi_worker.py --set segment_samples=1152

Trains the last phase of a recipe on the embedded corpus, in processes of their own, the workers on
the loopback. The batch of a step is the same in all of them. Prints a Markdown table of the medians
over the steps after the first ones, of the slowest worker.
"""

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

# Not timed: the first ones compile.
WARM_UP = 5
# set-up -> the cores of each of its processes
SETUPS = {
    "one process, one core": [[0]],
    "one process, two cores": [[0, 1]],
    "two workers, one core each": [[0], [1]],
}


def train(options) -> None:
    """Prints the seconds of each step, as JSON."""
    os.sched_setaffinity(0, options.cores)
    import keras

    from tonezoo.recipes import load_recipe
    from tonezoo.recipes.config import override
    from tonezoo.recipes.devices import all_devices

    devices = all_devices(lambda line: None)
    settings = [*options.settings, f"batch_size={options.batch // devices.replicas}"]
    cfg = override(load_recipe(options.recipe).config, settings)
    keras.utils.set_random_seed(cfg.seed)
    times = []
    clock = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: times.append(time.perf_counter())
    )
    with devices.scope():
        experiment = cfg.build(cfg.data_source(None, lambda line: None), devices.replicas)
        phase = experiment.phases[-1]
        devices.fit(
            phase.model,
            phase.dataset(0),
            None,
            experiment.global_batch,
            steps_per_epoch=WARM_UP + options.steps,
            initial_epoch=0,
            epochs=1,
            callbacks=[clock],
        )
    seconds = [after - before for before, after in itertools.pairwise(times)]
    print(json.dumps(seconds[WARM_UP - 1 :]))


def measure(options, processes: list[list[int]]) -> float:
    """Returns the median seconds of a step."""
    servers = [socket.create_server(("localhost", 0)) for _ in processes]
    addresses = [f"localhost:{server.getsockname()[1]}" for server in servers]
    for server in servers:
        server.close()
    started = []
    for index, cores in enumerate(processes):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        words = [*sys.argv[1:], "--cores", *map(str, cores)]
        environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
        started.append(
            subprocess.Popen(
                [sys.executable, __file__, *words],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit("A process failed: see its message above.")
    found = [json.loads(output.splitlines()[-1]) for output in outputs]
    return statistics.median(map(max, *found) if len(found) > 1 else found[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", default="mu_gan_tiny")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--batch", type=int, default=8, help="of a step, over all workers")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--cores", type=int, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.cores:
        train(options)
        return
    from tonezoo.analysis.score_tables import markdown_row

    rows = []
    for name, processes in SETUPS.items():
        seconds = measure(options, processes)
        rows.append([name, f"{1000 * seconds:.0f}", f"{options.batch / seconds:.1f}"])
    load = os.getloadavg()[0]
    print(f"\n{options.recipe}, batch {options.batch}, {options.steps} steps, load {load:.1f}\n")
    for row in (["set-up", "step (ms)", "examples per second"], ["---"] * 3, *rows):
        print(markdown_row(row))


if __name__ == "__main__":
    main()
