"""Times Demucs: its upsampling layers, the PyTorch package beside it, full size on a GPU.

    python benchmarks/demucs.py [--parts upsamplers,pytorch] [--preset small] [--rounds 10]
    python benchmarks/demucs.py --backend jax [--presets table1_transposed,table1_nearest]

upsamplers: a training step (forward, backward, Adam; L1) and inference of a preset with each of the
upsampling layers; "table1" is the paper's size, of which two models, --upsamplers
transposed,nearest say, take some 25 GB with their gradients and Adam. pytorch: inference of 10 s
of stereo beside the PyTorch package, same weights and threads. --backend jax: training steps in
float32 and bfloat16, a process each, their memory and their share of the device's matrix rate.

What a table compares runs in turn in one process; times are medians over the rounds, ratios medians
of the ratios within a round. The audio is noise.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from commands import print_row
from pytorch_demucs import WIDTH, pair
from timing import in_turn, median_ratio

# This file would hide the PyTorch package of the same name.
sys.path = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parent]

RATE_HZ = 44_100
PAPER_EPOCH_S = {"transposed": 319, "nearest": 423, "linear": 430, "subpixel": 311}
PYTORCH_S = 10.0
PYTORCH_BATCHES = (1, 4)
PYTORCH_ROUNDS = 5
LEARNING_RATE = 3e-4
# Models' dtypes, and those of the matrices of which the product is timed. A product in float32 is
# what the backend makes of it, TF32 on recent GPUs, in the models as well.
DTYPES = {"float32": "float32", "mixed_bfloat16": "bfloat16"}
MATRIX_SIZES = {"gpu": 8192, "cpu": 1024}


def main() -> None:
    options = parse_arguments()
    os.environ["KERAS_BACKEND"] = options.backend
    if options.backend == "jax":
        measure_jax(options)
        return
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    parts = {"upsamplers": measure_upsamplers, "pytorch": measure_pytorch}
    print(
        f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f} at the start; "
        f"{versions('tensorflow', 'keras', 'numpy')}.\n"
    )
    for name in options.parts.split(","):
        parts[name](options)
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--parts", default="upsamplers,pytorch", help="default: %(default)s")
    parser.add_argument("--preset", help="small (the default), tiny, table1 or another")
    parser.add_argument("--presets", help="with jax, some; default: those of the paper's table 1")
    parser.add_argument("--upsamplers", help="some of them; default: all")
    parser.add_argument("--dtypes", default=",".join(DTYPES), help="with jax; default: %(default)s")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--segment-s", type=float, default=1.5)
    parser.add_argument("--rounds", type=int, default=10)
    return parser.parse_args()


def measure_upsamplers(options) -> None:
    """Prints times of training steps and of inference for each upsampling layer."""
    import tensorflow as tf

    import tonezoo
    from tonezoo.layers import UPSAMPLER_KINDS

    tf.get_logger().setLevel("ERROR")  # it takes a function for each model for a mistake
    kinds = options.upsamplers.split(",") if options.upsamplers else UPSAMPLER_KINDS
    name = options.preset or "small"
    preset = {"table1": "table1_transposed"}.get(name, name)
    models = {kind: tonezoo.create_model("demucs", preset=preset, upsampler=kind) for kind in kinds}
    mixture, targets = noise(options.batch, options.segment_s, next(iter(models.values())))
    inference, training = {}, {}
    for kind, model in models.items():
        model.build((None, None, model.channels))
        inference[kind] = inference_call(model, mixture)
        training[kind] = training_step(model, mixture, targets)
    step_times = in_turn(training, options.rounds)
    call_times = in_turn(inference, options.rounds)
    print(
        f"Preset {name}, batch {options.batch} of {options.segment_s:g} s, "
        f"{options.rounds} rounds. Beside the steps, the paper's epochs on 4 GPUs.\n"
    )
    reference = kinds[0]
    of = f"of {reference}"
    print_header("upsampling", "parameters", "step [ms]", of, "the paper", "inference [ms]", of)
    for kind, model in models.items():
        paper = ""
        if kind in PAPER_EPOCH_S and reference == "transposed":
            paper = f"{PAPER_EPOCH_S[kind] / PAPER_EPOCH_S[reference]:.2f}"
        steps = timing_cells(step_times[kind], step_times[reference])
        calls = timing_cells(call_times[kind], call_times[reference])
        print_row(kind, f"{model.count_params():,}", *steps, paper, *calls)


def measure_pytorch(options) -> None:
    """Prints times of inference beside those of the PyTorch package with the same weights."""
    if not all(importlib.util.find_spec(name) for name in ("torch", "demucs")):
        print('\nBeside PyTorch: skipped, no torch or demucs: pip install "tonezoo[parity]"')
        return
    import torch

    torch.set_num_threads(os.cpu_count())
    ours, theirs = pair()
    rounds = min(options.rounds, PYTORCH_ROUNDS)
    print(
        f"\nOriginal architecture, {WIDTH} channels, {ours.count_params():,} parameters, "
        f"{PYTORCH_S:g} s of stereo, {torch.get_num_threads()} threads, {rounds} rounds; "
        f"{versions('torch', 'demucs')}.\n"
    )
    print_header("batch", "what", "seconds", "of PyTorch", "largest difference")
    for batch in PYTORCH_BATCHES:
        mixture, _ = noise(batch, PYTORCH_S, ours)
        torch_mixture = torch.from_numpy(mixture.transpose(0, 2, 1).copy())

        def torch_call(mixture=torch_mixture):
            with torch.inference_mode():
                return theirs(mixture)

        calls = {"PyTorch": torch_call, "tonezoo": inference_call(ours, mixture)}
        # (batch, source, channels, time) -> (batch, time, source, channels)
        expected = calls["PyTorch"]().numpy().transpose(0, 3, 1, 2)
        difference = np.abs(calls["tonezoo"]() - expected).max() / np.abs(expected).max()
        times = in_turn(calls, rounds)
        for name, seconds in times.items():
            median, ratio = statistics.median(seconds), median_ratio(seconds, times["PyTorch"])
            shown = f"{difference:.0e} of the peak" if name == "tonezoo" else ""
            print_row(batch, name, f"{median:.2f}", f"{ratio:.2f}", shown)


def inference_call(model, mixture):
    """Returns a function that separates the mixture and waits for it."""
    import tensorflow as tf

    call = tf.function(lambda x: model(x, training=False))
    mixture = tf.constant(mixture)
    return lambda: call(mixture).numpy()


def training_step(model, mixture, targets):
    """Returns a function that takes a step of Adam and waits for it."""
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(mixture, targets):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.abs(model(mixture, training=True) - targets))
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    mixture, targets = tf.constant(mixture), tf.constant(targets)
    return lambda: step(mixture, targets).numpy()


def measure_jax(options) -> None:
    """Prints training steps of whole models with JAX: time, memory, share of the matrix rate."""
    dtypes = options.dtypes.split(",")
    if len(dtypes) > 1:
        # The peak of a device's memory holds for a process.
        for dtype in dtypes:
            command = [sys.executable, __file__, *sys.argv[1:], "--dtypes", dtype]
            subprocess.run(command, check=True)
        return
    (dtype,) = dtypes
    import jax

    from tonezoo.models.demucs import TABLE1

    device = jax.devices()[0]
    matrix_rate, size = measure_matrix_rate(device, DTYPES[dtype], options.rounds)
    print(
        f"{device.device_kind}, {os.cpu_count()} CPU cores; {versions('jax', 'keras')}; {dtype}, "
        f"batch {options.batch} of {options.segment_s:g} s, {options.rounds} rounds. Products of "
        f"{size} x {size} matrices, {DTYPES[dtype]}: {matrix_rate / 1e12:.3g} TFLOP/s.\n",
        flush=True,
    )
    models = {
        preset: {"preset": preset}
        for preset in (options.presets or options.preset or ",".join(TABLE1)).split(",")
    }
    if options.upsamplers:
        models = {
            f"{preset}, {kind}": {"preset": preset, "upsampler": kind}
            for preset in models
            for kind in options.upsamplers.split(",")
        }
    steps, facts = {}, {}
    for name, choice in models.items():
        steps[name], facts[name] = jax_step({**choice, "dtype": dtype}, options, device)
    times = in_turn(steps, options.rounds)
    reference = next(iter(times))
    print_header(
        *("model", "parameters", "compile [s]", "step [ms]", f"of {reference}", "the paper"),
        "memory [GB]",
        *("XLA's plan [GB]", "TFLOP", "TFLOP/s", "of the matrix rate"),
    )
    for name, seconds in times.items():
        fact = facts[name]
        rate = fact["flops"] / statistics.median(seconds)
        print_row(
            name,
            f"{fact['parameters']:,}",
            f"{fact['compile_s']:.0f}",
            *timing_cells(seconds, times[reference]),
            paper_ratio(name, reference),
            "" if fact["peak_bytes"] is None else f"{fact['peak_bytes'] / 1e9:.2f}",
            f"{fact['planned_bytes'] / 1e9:.2f}",
            f"{fact['flops'] / 1e12:.3g}",
            f"{rate / 1e12:.3g}",
            f"{rate / matrix_rate:.0%}",
        )
    print(
        "\nThe paper: its epochs, on 4 GPUs. Memory: the device's peak without what was there "
        "before,\nweights, gradients and Adam included. TFLOP: 2 per multiply-add, of which the "
        "backward pass\ntakes twice the forward one's.\n"
    )


def paper_ratio(preset: str, reference: str) -> str:
    """Returns the ratio of two presets' epochs in the paper, empty where it has none."""
    kinds = [name.removeprefix("table1_") for name in (preset, reference)]
    if not {*kinds} <= {*PAPER_EPOCH_S}:
        return ""
    return f"{PAPER_EPOCH_S[kinds[0]] / PAPER_EPOCH_S[kinds[1]]:.2f}"


def jax_step(choice: dict, options, device):
    """Returns a function that takes a step of Adam and waits for it, and facts about the step."""
    import jax
    import keras

    import tonezoo

    before = (device.memory_stats() or {}).get("bytes_in_use")
    keras.utils.set_random_seed(0)
    model = tonezoo.create_model("demucs", **choice)
    model.build((None, None, model.channels))
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    optimizer.build(model.trainable_variables)
    fixed = [variable.value for variable in model.non_trainable_variables]

    def loss(weights, mixture, targets):
        estimate, _ = model.stateless_call(weights, fixed, mixture, training=True)
        return jax.numpy.mean(jax.numpy.abs(estimate - targets))

    def step(weights, moments, mixture, targets):
        value, gradients = jax.value_and_grad(loss)(weights, mixture, targets)
        return *optimizer.stateless_apply(moments, gradients, weights), value

    batch = [jax.numpy.asarray(x) for x in noise(options.batch, options.segment_s, model)]
    state = [
        [variable.value for variable in variables]
        for variables in (model.trainable_variables, optimizer.variables)
    ]
    # The state's buffers are given away and come back filled anew: it is held once.
    started = time.perf_counter()
    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(*state, *batch).compile()
    facts = {
        "compile_s": time.perf_counter() - started,
        "parameters": model.count_params(),
        "flops": 3 * 2 * options.batch * multiply_adds(model, batch[0].shape[1]),
    }

    def run():
        *state[:], value = compiled(*state, *batch)
        return jax.block_until_ready(value)

    highest = (device.memory_stats() or {}).get("peak_bytes_in_use")
    run()
    peak = (device.memory_stats() or {}).get("peak_bytes_in_use")
    plan = compiled.memory_analysis()
    # Without a new peak, another model's is all that is known.
    facts["peak_bytes"] = peak - before if peak is not None and peak > highest else None
    facts["planned_bytes"] = (
        plan.argument_size_in_bytes
        + plan.output_size_in_bytes
        + plan.temp_size_in_bytes
        - plan.alias_size_in_bytes
    )
    return run, facts


def multiply_adds(model, samples: int) -> int:
    """Returns the multiply-adds of a forward pass of one example, of products and convolutions."""
    import keras

    x = keras.KerasTensor((1, model.valid_length(samples), model.channels))
    total = 0
    for block in model.encoder:
        x = block.compute_output_spec(x)
        # The convolution's kernel is used at as many positions as the block has outputs, but
        # for a GLU's kernel without padding.
        between = x.shape[1]
        if block.glu_conv.padding == "valid":
            between += block.glu_conv.kernel_size[0] - 1
        total += between * kernel_size(block.conv) + x.shape[1] * kernel_size(block.glu_conv)
    for lstm in model.lstm:
        weights = (*lstm.kernels, *lstm.rnn.cell.recurrent_kernels)
        total += x.shape[1] * sum(int(np.prod(weight.shape)) for weight in weights)
    if model.dense is not None:
        total += x.shape[1] * kernel_size(model.dense)
    for block in model.decoder:
        low = x.shape[1]
        x = block.compute_output_spec(x)
        if block.glu_conv.padding == "valid":
            low -= block.glu_conv.kernel_size[0] - 1
        total += low * (kernel_size(block.glu_conv) + upsampling_products(block))
    return total


def upsampling_products(block) -> int:
    """Returns the multiply-adds of an upsampling layer for each of its input samples."""
    layer = block.upsampler
    if not hasattr(layer, "interpolate"):  # subpixel, transposed
        return kernel_size(layer)
    if layer.form == "plain":
        return layer.factor * kernel_size(layer)
    taps = 1 + sum(layer.context) - 2 * layer.interpolate.prefilter_reach
    return taps * block.in_channels * layer.factor * layer.filters


def kernel_size(layer) -> int:
    return int(np.prod(layer.kernel.shape))


def measure_matrix_rate(device, dtype: str, rounds: int) -> tuple[float, int]:
    """Returns the FLOP/s of a product of large square matrices, and their size."""
    import jax

    size = MATRIX_SIZES.get(device.platform, MATRIX_SIZES["gpu"])
    a, b = jax.random.normal(jax.random.key(0), (2, size, size), dtype)
    product = jax.jit(jax.numpy.matmul)
    times = in_turn({"product": lambda: product(a, b).block_until_ready()}, rounds)
    return 2 * size**3 / statistics.median(times["product"]), size


def noise(batch: int, seconds: float, model) -> tuple[np.ndarray, np.ndarray]:
    """Returns a mixture and its targets, seeded noise of deviation 1."""
    random = np.random.default_rng(0)
    shape = (batch, round(seconds * RATE_HZ), len(model.sources), model.channels)
    targets = random.standard_normal(shape, "float32")
    return targets.sum(axis=2) / len(model.sources) ** 0.5, targets


def timing_cells(seconds: list[float], reference: list[float]) -> tuple[str, str]:
    milliseconds = 1000 * statistics.median(seconds)
    return f"{milliseconds:.3g}", f"{median_ratio(seconds, reference):.2f}"


def versions(*packages: str) -> str:
    return ", ".join(f"{package} {version(package)}" for package in packages)


def print_header(*cells) -> None:
    print_row(*cells)
    print_row(*len(cells) * ["---"])


if __name__ == "__main__":
    main()
