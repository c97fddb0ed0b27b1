"""`tonezoo serve` under load, beside direct calls of the same model in the same run.

    python benchmarks/serving.py [--model mu_gan_speech_x4] [--clients 1,8,64] [--rounds 5]

A server in a process of its own serves one model on the loopback. In each round, in turn: this
process calls the model itself with each batch size, then so many clients, threads with a channel
each, send one signal per request over gRPC, the next as soon as the answer is there. A phase ends
after `--requests` signals or `--phase-s` seconds. Each answer is compared with that of a direct
call. Throughputs are medians over rounds, their ratio to the best direct batch is the median of the
ratios within rounds, latencies are of all requests.

Then `--soak` requests of a short signal by 8 clients, with the server's memory along the way.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import grpc
import numpy as np
import tensorflow as tf
from commands import print_row
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from timing import median_ratio

from tonezoo.pretrained import model_folder
from tonezoo.serving.manifest import resolve_version
from tonezoo.serving.verify import load_signatures, read_exported

SIGNALS = 16
SOAK_CLIENTS, SOAK_S, SOAK_READINGS = 8, 0.1, 5
# Other batch sizes take other paths through the same sums.
TOLERANCE = 1e-4
TIMEOUT_S = 60


@dataclass
class Phase:
    """What clients or direct calls have done in one phase."""

    signals: int = 0
    seconds: float = 0.0
    lost: int = 0
    wrong: int = 0
    latencies_s: list[float] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        return self.signals / self.seconds


def main() -> None:
    options = read_options()
    folder = resolve_version(options.model)
    _, _, facts = read_exported(folder)
    call = direct_call(folder)
    rate_hz = getattr(facts, "low_rate_hz", facts.sample_rate_hz)
    work = Signals(call, round(options.seconds * rate_hz), facts.channels)
    soak = Signals(call, round(SOAK_S * rate_hz), facts.channels)
    with Served(model_folder(options.model), options.server_options) as served:
        print_throughput(measure(work, served, options), options)
        if options.soak:
            print_soak(soak, served, options)


def read_options() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mu_gan_speech_x4", help="name or folder")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a signal")
    parser.add_argument("--clients", type=numbers, default=[1, 8, 64], help="numbers of clients")
    parser.add_argument("--batches", type=numbers, default=[1, 2, 4, 8, 16], help="direct batches")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=256, help="signals of a phase")
    parser.add_argument("--phase-s", type=float, default=30.0, help="longest phase")
    parser.add_argument("--soak", type=int, default=10_000, help="requests for the memory; 0: none")
    parser.add_argument(
        "--server-options", type=str.split, default=[], help='such as "--max-batch-size 16"'
    )
    return parser.parse_args()


class Signals:
    """Noise (SIGNALS, samples, channels) and what direct calls, one signal each, make of it."""

    def __init__(self, call: Callable, samples: int, channels: int):
        rng = np.random.default_rng(0)
        self.call = call
        self.inputs = rng.uniform(-0.3, 0.3, (SIGNALS, samples, channels)).astype("float32")
        self.expected = [call(signal[None]) for signal in self.inputs]

    def is_right(self, index: int, outputs: dict[str, np.ndarray]) -> bool:
        expected = self.expected[index]
        return outputs.keys() == expected.keys() and all(
            outputs[name].shape == array.shape
            and np.abs(outputs[name] - array).max() <= TOLERANCE * np.abs(array).max()
            for name, array in expected.items()
        )


def direct_call(folder: Path) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Returns the default signature of a SavedModel as a function of arrays."""
    loaded = load_signatures(folder)
    signature = loaded.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]

    def call(batch: np.ndarray) -> dict[str, np.ndarray]:
        outputs = signature(**{name: tf.constant(batch)})
        return {key: output.numpy() for key, output in outputs.items()}

    call.loaded = loaded  # type: ignore[attr-defined]  # What is not referenced is let go.
    return call


class Served:
    """`tonezoo serve` with one model in a process of its own."""

    def __init__(self, model: Path, options: list[str]):
        self._folder = tempfile.TemporaryDirectory()
        (Path(self._folder.name) / "model").symlink_to(model.resolve())
        words = ["serve", self._folder.name, "--port", "0", "--rest-port", "0", *options]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tonezoo", *words], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("Serving"):
                break
        else:
            raise SystemExit("The server did not start.")
        grpc_part, rest_part = line.split(", ")
        self.address = grpc_part.rpartition(" ")[2]
        self._metrics = f"{rest_part.split()[-1]}/monitoring/prometheus/metrics"

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *error) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(self._metrics) as page:
            lines = page.read().decode().splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))


def measure(work: Signals, served: Served, options) -> dict[str, list[Phase]]:
    """Returns name -> phases, one of each round; a short round comes first and does not count."""
    steps: dict[str, Callable[[int], Phase]] = {}
    limit_s = options.phase_s
    for size in options.batches:
        steps[f"direct, batch {size}"] = partial(call_directly, work, size, limit_s=limit_s)
    for clients in options.clients:
        name = f"served, {clients} client{'s' * (clients > 1)}"
        steps[name] = partial(send, work, served.address, clients, limit_s=limit_s)
    for step in steps.values():
        step(max(options.requests // 8, 1))
    phases: dict[str, list[Phase]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        for name, step in steps.items():
            phases[name].append(step(options.requests))
    return phases


def call_directly(work: Signals, size: int, count: int, limit_s: float) -> Phase:
    phase, started = Phase(), time.perf_counter()
    indices = itertools.cycle(range(SIGNALS))
    while phase.signals < count and time.perf_counter() - started < limit_s:
        batch = [next(indices) for _ in range(size)]
        before = time.perf_counter()
        work.call(work.inputs[batch])
        phase.latencies_s.append(time.perf_counter() - before)
        phase.signals += size
    phase.seconds = time.perf_counter() - started
    return phase


def send(work: Signals, address: str, clients: int, count: int, limit_s: float) -> Phase:
    """Returns what so many clients have got for `count` requests, all of them together."""
    phase, lock, numbers = Phase(), threading.Lock(), itertools.count()
    requests = [as_request(signal) for signal in work.inputs]
    started = time.perf_counter()

    def client() -> None:
        with grpc.insecure_channel(address, CHANNEL) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            while time.perf_counter() - started < limit_s and (number := next(numbers)) < count:
                index = number % SIGNALS
                before = time.perf_counter()
                try:
                    answer = stub.Predict(requests[index], timeout=TIMEOUT_S)
                except grpc.RpcError:
                    answer = None
                took = time.perf_counter() - before
                right = answer is not None and work.is_right(index, arrays_of(answer))
                with lock:
                    phase.latencies_s.append(took)
                    phase.signals += right
                    phase.lost += answer is None
                    phase.wrong += answer is not None and not right

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    phase.seconds = time.perf_counter() - started
    return phase


# A connection of its own for each client; answers are larger than gRPC's 4 MiB.
CHANNEL = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1))


def as_request(signal: np.ndarray) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "model"
    request.inputs["waveform"].CopyFrom(tf.make_tensor_proto(signal[None]))
    return request


def arrays_of(answer: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    return {name: tf.make_ndarray(tensor) for name, tensor in answer.outputs.items()}


def print_throughput(phases: dict[str, list[Phase]], options) -> None:
    medians = {
        name: statistics.median(phase.throughput for phase in found)
        for name, found in phases.items()
    }
    best = max((name for name in phases if name.startswith("direct")), key=medians.__getitem__)
    print(f"{options.model}, signals of {options.seconds:g} s, {options.rounds} rounds:\n")
    titles = ("calls", "signals/s", "of best direct", "p50 [ms]", "p95", "p99", "lost", "wrong")
    print_row(*titles)
    print_row(*["---"] * len(titles))
    reference = [phase.throughput for phase in phases[best]]
    for name, found in phases.items():
        latencies = [seconds for phase in found for seconds in phase.latencies_s]
        centiles = np.percentile(latencies, [50, 95, 99]) * 1000
        print_row(
            name,
            f"{medians[name]:.1f}",
            f"{median_ratio([phase.throughput for phase in found], reference):.2f}",
            *(f"{centile:.1f}" for centile in centiles),
            str(sum(phase.lost for phase in found)),
            str(sum(phase.wrong for phase in found)),
        )
    print()


def print_soak(work: Signals, served: Served, options) -> None:
    """Prints the server's resident memory at equal distances of the soak's requests."""
    print(f"{options.soak} requests of {SOAK_S:g} s by {SOAK_CLIENTS} clients:\n")
    print_row("requests", "memory of the server [MB]", "lost", "wrong")
    print_row(*["---"] * 4)
    each = max(options.soak // SOAK_READINGS, 1)
    done = lost = wrong = 0
    for _ in range(SOAK_READINGS):
        phase = send(work, served.address, SOAK_CLIENTS, each, 10 * options.phase_s)
        done, lost, wrong = done + phase.signals, lost + phase.lost, wrong + phase.wrong
        memory = served.metric("process_resident_memory_bytes") / 1e6
        print_row(str(done), f"{memory:.0f}", str(lost), str(wrong))


if __name__ == "__main__":
    main()
