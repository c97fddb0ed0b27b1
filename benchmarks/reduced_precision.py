"""Speed, memory and error of exported models in float32 and in bfloat16, beside PyTorch's Demucs.

    python benchmarks/reduced_precision.py [--models NAME,MODEL:PRESET,...] [--seconds 10]

Models: shipped ones by name (all of them by default), MODEL:PRESET with random weights, and
"pytorch", the original Demucs with the weights of the PyTorch package beside it, where that is
installed. Each is exported in both dtypes and its SavedModel called in turn, in one process; times
are medians over the rounds, ratios medians of the ratios within a round. Memory is the peak of a
process that loads the SavedModel and calls it twice, with the 1 GB or so of TensorFlow.

The audio is made up: speech for super-resolution, a song for separation, noise for all with random
weights. Error: SDR and LSD of bfloat16's output re float32's (the means of sources and channels);
and, where there is a truth, by how much its own SDR gets worse.

--profile adds the operations that a call spends its time in, run one after the other.
"""

import argparse
import importlib.util
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
from commands import figures_apart, peak_memory_gb, print_row
from pytorch_demucs import pair
from timing import in_turn, median_ratio

DTYPES = ("float32", "bfloat16")
PYTORCH = "pytorch"
# Another seed than those of training and tests.
SEED = 77


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", help="separated by commas; default: all shipped ones, pytorch")
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio")
    parser.add_argument("--batch", type=int, default=1, help="signals at once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="also the operations' times")
    parser.add_argument(
        "--one", nargs=3, metavar=("FOLDER", "TASK", "INPUT"), help=argparse.SUPPRESS
    )
    options = parser.parse_args()
    if options.one:
        call_twice(*options.one)
        print(peak_memory_gb())
        return
    import tensorflow as tf

    import tonezoo

    found = cpu_flags()
    print(
        f"{options.seconds:g} s, batch {options.batch}, {options.rounds} rounds; {os.cpu_count()} "
        f"CPU cores ({', '.join(found) or 'no bfloat16 in hardware'}), load "
        f"{os.getloadavg()[0]:.1f}; TensorFlow {tf.__version__}.\n"
    )
    titles = ("model", "dtype", "seconds", "of float32", "of PyTorch", "weights [MB]")
    errors = ("SDR re float32 [dB]", "LSD re float32", "SDR lost [dB]")
    print_row(*titles, "peak memory [GB]", *errors)
    print_row(*["---"] * (len(titles) + 1 + len(errors)))
    default = [*tonezoo.list_pretrained(), *([PYTORCH] if has_pytorch() else [])]
    for name in options.models.split(",") if options.models else default:
        measure(name, options)


def cpu_flags() -> list[str]:
    """Returns which instructions for bfloat16 the processor has, as Linux tells."""
    path = Path("/proc/cpuinfo")
    words = set(path.read_text().split()) if path.exists() else set()
    return [flag for flag in ("avx512_bf16", "amx_bf16") if flag in words]


def has_pytorch() -> bool:
    return all(importlib.util.find_spec(name) for name in ("torch", "demucs"))


def measure(name: str, options) -> None:
    """Prints a row for each dtype of a model, and one for PyTorch where it is the model's."""
    from tonezoo.model_sources import find_keras_model
    from tonezoo.serving.export import golden_input, write_saved_model
    from tonezoo.serving.precision import in_bfloat16
    from tonezoo.serving.verify import serving_function
    from tonezoo.tasks import find_task

    model, theirs = pair() if name == PYTORCH else (find_keras_model(name), None)
    task = find_task(model.task)
    is_trained = name != PYTORCH and ":" not in name
    signal, truth = example(model, options) if is_trained else (noise(model, options), None)
    with tempfile.TemporaryDirectory() as scratch:
        np.save(f"{scratch}/input.npy", signal)
        calls, facts, memory = {}, {}, {}
        for dtype in DTYPES:
            folder = Path(scratch, dtype)
            exported = model if dtype == "float32" else in_bfloat16(model, golden_input(model))[0]
            write_saved_model(exported, folder)
            call = serving_function(folder, task, task.model_facts(model))
            calls[dtype] = lambda call=call: call(signal)
            size = sum(path.stat().st_size for path in (folder / "variables").iterdir())
            facts[dtype] = f"{size / 1e6:.1f}"
            words = ("--one", str(folder), task.name, f"{scratch}/input.npy")
            memory[dtype] = f"{figures_apart(__file__, *words):.2f}"
        del exported
        outputs = {dtype: call() for dtype, call in calls.items()}
        if theirs is not None:
            calls["PyTorch"] = pytorch_call(theirs, signal)
        times = in_turn(calls, options.rounds)
        shares = {
            dtype: operation_times(Path(scratch, dtype), task, signal)
            for dtype in (DTYPES if options.profile else ())
        }
    for dtype, seconds in times.items():
        beside = times.get("PyTorch")
        print_row(
            name,
            dtype,
            f"{statistics.median(seconds):.3g}",
            f"{median_ratio(seconds, times['float32']):.2f}",
            f"{median_ratio(seconds, beside):.2f}" if beside else "",
            facts.get(dtype, ""),
            memory.get(dtype, ""),
            *(errors(outputs, truth) if dtype == "bfloat16" else ("", "", "")),
        )
    print_profiles(shares)


def print_profiles(shares: dict[str, dict[str, float]]) -> None:
    """Prints the operations that take most of the time, in each dtype."""
    for dtype, times in shares.items():
        total = sum(times.values())
        longest = sorted(times.items(), key=lambda item: -item[1])[:5]
        listed = ", ".join(f"{name} {seconds / total:.0%}" for name, seconds in longest)
        print(f"\n{dtype}, {total:.2f} s of operations: {listed}.", flush=True)


def operation_times(folder: Path, task, signal: np.ndarray) -> dict[str, float]:
    """Returns kind of operation -> seconds in the second call of a SavedModel's signature."""
    import tensorflow as tf

    v1 = tf.compat.v1
    graph, trace = tf.Graph(), v1.RunMetadata()
    config = v1.ConfigProto(inter_op_parallelism_threads=1)
    with v1.Session(graph=graph, config=config) as session:
        meta = v1.saved_model.load(session, ["serve"], str(folder))
        signature = meta.signature_def[task.inference_signature]
        wanted = [tensor.name for tensor in signature.outputs.values()]
        given = {signature.inputs[task.inference_input].name: signal}
        session.run(wanted, given)
        traced = v1.RunOptions(trace_level=v1.RunOptions.FULL_TRACE)
        session.run(wanted, given, options=traced, run_metadata=trace)
    times: dict[str, float] = {}
    for device in trace.step_stats.dev_stats:
        for node in device.node_stats:
            # "name = Operation(inputs)"
            kind = node.timeline_label.partition(" = ")[2].partition("(")[0] or node.node_name
            seconds = (node.op_end_rel_micros - node.op_start_rel_micros) / 1e6
            times[kind] = times.get(kind, 0.0) + seconds
    return times


def pytorch_call(theirs, signal):
    import torch

    torch.set_num_threads(os.cpu_count())
    torch_signal = torch.from_numpy(signal.transpose(0, 2, 1).copy())

    def call():
        with torch.inference_mode():
            return theirs(torch_signal).numpy()

    return call


def example(model, options) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns an input that a trained model is for, and the truth: the same shape as its output."""
    from tonezoo.audio.levels import measure as measure_level
    from tonezoo.audio.resampling import decimate
    from tonezoo.recipes.corpus.songs import procedural_stems
    from tonezoo.recipes.corpus.speech import procedural_corpus

    if model.task == "super_resolution":
        clips = procedural_corpus(seed=SEED, clips=options.batch, segment_s=options.seconds)
        high = np.stack([clip[: len(clip) // model.ratio * model.ratio] for clip in clips.values()])
        low = np.stack([decimate(clip, model.ratio) for clip in high])
        return low[..., None].astype("float32"), high[..., None]
    if model.task == "separation":
        songs = procedural_stems(seed=SEED, tracks=options.batch, track_s=options.seconds)
        # (batch, time, source, channels), the mixture at the level that the network expects
        stems = np.stack([np.stack([*song.values()], axis=1) for song in songs.values()])
        mixtures = stems.sum(axis=2)
        if model.mixture_level == "standard":
            levels = [measure_level([mixture])[2] for mixture in mixtures]
            stems = np.stack([s / level.std for s, level in zip(stems, levels, strict=True)])
            mixtures = np.stack([v.normalise(m) for v, m in zip(levels, mixtures, strict=True)])
        return mixtures.astype("float32"), stems
    return noise(model, options), None


def noise(model, options) -> np.ndarray:
    per_step = model.hop_samples if model.task == "vocoding" else getattr(model, "ratio", 1)
    steps = round(options.seconds * model.sample_rate_hz) // per_step
    shape = (options.batch, steps, model.channels)
    return np.random.default_rng(SEED).standard_normal(shape, "float32")


def errors(outputs: dict, truth: np.ndarray | None) -> tuple[str, str, str]:
    """Returns SDR and LSD of bfloat16's output re float32's, and the loss of SDR re the truth."""
    from tonezoo.analysis.metrics import lsd

    exact, reduced = (outputs[dtype] for dtype in DTYPES)
    rows = list(zip(rows_of(exact), rows_of(reduced), strict=True))
    distance = np.mean([lsd(a, b) for a, b in rows])
    lost = ""
    if truth is not None:
        scores = [mean_sdr(truth, output) for output in (exact, reduced)]
        lost = f"{scores[0] - scores[1]:.4f} of {scores[0]:.2f}"
    return f"{mean_sdr(exact, reduced):.1f}", f"{distance:.3f}", lost


def rows_of(x: np.ndarray) -> np.ndarray:
    """Returns (batch, time, ...) as (batch * ..., time)."""
    return np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])


def mean_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Returns the mean over signals of energy over that of the error, in dB."""
    a, b = (rows_of(x).astype("float64") for x in (reference, estimate))
    return float(np.mean(10 * np.log10((a**2).sum(-1) / ((a - b) ** 2).sum(-1))))


def call_twice(folder: str, task_name: str, signal: str) -> None:
    """Calls a SavedModel twice on the array in a file."""
    from tonezoo.serving.verify import load_signatures
    from tonezoo.tasks import find_task

    task, loaded = find_task(task_name), load_signatures(Path(folder))
    for _ in range(2):
        loaded.signatures[task.inference_signature](**{task.inference_input: np.load(signal)})


if __name__ == "__main__":
    main()
