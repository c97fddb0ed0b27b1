"""Times every upsampling layer beside Keras's own at equal factor and filters; prints one table.

    python benchmarks/upsamplers.py [--rounds 30] [--sizes small,medium,large]
    KERAS_BACKEND=jax python benchmarks/upsamplers.py --batch 64        JAX, on a GPU

All layers of a size live in one process and are timed in turn, round after round in a new order,
forward and forward + backward (gradients of weights and input), as tf.functions without XLA, or
jitted by JAX. A time is the median over the rounds; a ratio is the median of the ratios within each
round, so that a machine that slows down for a while slows both sides.
"""

import argparse
import dataclasses
import os
import time
from dataclasses import dataclass
from importlib.metadata import version

if os.environ.setdefault("KERAS_BACKEND", "tensorflow") == "tensorflow":
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from timing import device_name

from tonezoo.layers import InterpolatedConv1D, SubpixelConv1D, TransposedConv1D


@dataclass(frozen=True, kw_only=True)
class Size:
    """What all layers of a comparison share; `length` is the kernel's, at the high rate."""

    factor: int
    length: int
    channels: int
    filters: int
    batch: int
    time: int

    def __str__(self):
        return (
            f"x{self.factor}, length {self.length}, {self.channels} -> {self.filters} channels, "
            f"B={self.batch}, T={self.time}"
        )


SIZES = {
    "small": Size(factor=2, length=9, channels=128, filters=64, batch=4, time=2048),
    "medium": Size(factor=4, length=9, channels=64, filters=64, batch=4, time=4096),
    "large": Size(factor=8, length=17, channels=128, filters=64, batch=4, time=2048),
}
INTERPOLATORS = {
    "nearest": ("nearest", None),
    "linear": ("linear", None),
    "linear, aligned": ("linear", "aligned"),
    "cubic": ("cubic", None),
    "sinc": ("sinc", None),
    "kaiser": ("kaiser", None),
    "stretch": ("stretch", None),
    "learned": ("learned", None),
}
KERAS_NEAREST = "Keras UpSampling1D + Conv1D"
FOLDED = "the same, folded"
# A layer against: the subpixel convolution with as many low-rate taps, its own plain form, Keras.
REFERENCES = ("subpixel", "plain", "Keras")


def layers_and_references(size):
    """Returns the layers by name, and for each the names of those it is compared with."""
    transposed = 2 * size.factor  # full overlap
    layers = {
        KERAS_NEAREST: keras.Sequential(
            [
                keras.layers.UpSampling1D(size.factor),
                keras.layers.Conv1D(size.filters, size.length, padding="same"),
            ]
        ),
        f"Keras Conv1DTranspose, length {transposed}": keras.layers.Conv1DTranspose(
            size.filters, transposed, size.factor, padding="same"
        ),
        f"transposed, length {transposed}": TransposedConv1D(size.filters, transposed, size.factor),
    }
    references = {name: {} for name in layers}
    for name, (method, grid) in INTERPOLATORS.items():
        for form in ("polyphase", "plain"):
            layer = InterpolatedConv1D(size.filters, size.length, size.factor, method, grid, form)
            layers[f"{name}, {form}"] = layer
            references[f"{name}, {form}"] = {"plain": f"{name}, plain"}
            taps = sum(layer.context) + 1
            if form == "polyphase" and method not in ("cubic", "sinc", "kaiser"):
                subpixel = f"subpixel, {taps} taps"
                layers[subpixel] = SubpixelConv1D(size.filters, taps, size.factor)
                references[f"{name}, {form}"]["subpixel"] = subpixel
                references[subpixel] = {}
    # What `fold_upsampling` makes of Keras's.
    layers[FOLDED] = InterpolatedConv1D(size.filters, size.length, size.factor, ends="zeros")
    references[FOLDED] = {}
    for name in layers:
        references[name]["Keras"] = KERAS_NEAREST
    return layers, references


def compiled(layer, size):
    """Returns two functions without arguments: forward, and forward + backward."""
    random = np.random.default_rng(0)
    x = random.standard_normal((size.batch, size.time, size.channels)).astype("float32")
    layer.build(x.shape)
    upstream = random.standard_normal(layer.compute_output_shape(x.shape)).astype("float32")
    functions = {"jax": jax_functions, "tensorflow": tensorflow_functions}
    return functions[keras.backend.backend()](layer, x, upstream)


def jax_functions(layer, x, upstream):
    import jax

    weights = [variable.value for variable in layer.trainable_variables]

    @jax.jit
    def forward(weights, x):
        return layer.stateless_call(weights, [], x)[0]

    @jax.jit
    def forward_backward(weights, x, upstream):
        y, backward = jax.vjp(forward, weights, x)
        return y, backward(upstream)

    x, upstream = jax.numpy.asarray(x), jax.numpy.asarray(upstream)
    return (
        lambda: jax.block_until_ready(forward(weights, x)),
        lambda: jax.block_until_ready(forward_backward(weights, x, upstream)),
    )


def tensorflow_functions(layer, x, upstream):
    import tensorflow as tf

    x, upstream = tf.constant(x), tf.constant(upstream)

    @tf.function
    def forward(x):
        return layer(x)

    @tf.function
    def forward_backward(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        variables = [variable.value for variable in layer.trainable_variables]
        # The output is returned as well: unused, the forward convolution would be left out.
        return y, tape.gradient(y, [x, *variables], output_gradients=upstream)

    return lambda: forward(x), lambda: forward_backward(x, upstream)


def measure(layers, size, rounds):
    """Returns milliseconds (mode, round) by name of the layer."""
    functions = {name: compiled(layer, size) for name, layer in layers.items()}
    for _ in range(2):
        for modes in functions.values():
            for function in modes:
                function()
    milliseconds = {name: np.zeros((2, rounds)) for name in layers}
    random = np.random.default_rng(0)
    for i in range(rounds):
        for name in random.permutation(list(layers)):
            for mode, function in enumerate(functions[name]):
                start = time.perf_counter()
                function()
                milliseconds[name][mode, i] = 1e3 * (time.perf_counter() - start)
    return milliseconds


def table_rows(size, rounds):
    """Yields the cells of the table, a row for each layer of that size."""
    layers, references = layers_and_references(size)
    milliseconds = measure(layers, size, rounds)
    for name in layers:
        cells = [f"{np.median(times):.1f}" for times in milliseconds[name]]
        for reference in REFERENCES:
            other = references[name].get(reference, name)
            ratios = np.median(milliseconds[name] / milliseconds[other], axis=1)
            cells.append("" if other == name else " / ".join(f"{ratio:.2f}" for ratio in ratios))
        yield [str(size), name, *cells]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="timings of every function")
    parser.add_argument("--sizes", default=",".join(SIZES), help="some of: %(default)s")
    parser.add_argument("--batch", type=int, help="in place of the sizes' own")
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    print(
        f"{device_name()}, {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f} at the start; "
        f"{backend} {version(backend)}, Keras {keras.__version__}; medians of {arguments.rounds} "
        "rounds.\n"
        "Ratios are forward / forward + backward: below 1 is faster than what is named.\n"
    )
    header = [
        "size",
        "layer",
        "forward [ms]",
        "forward + backward [ms]",
        "of subpixel with as many low-rate taps",
        "of its plain form",
        f"of {KERAS_NEAREST}",
    ]
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for name in arguments.sizes.split(","):
        size = SIZES[name]
        if arguments.batch:
            size = dataclasses.replace(size, batch=arguments.batch)
        for cells in table_rows(size, arguments.rounds):
            print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\nLoad {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
