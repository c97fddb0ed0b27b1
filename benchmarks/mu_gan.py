"""Times a training step of MU-GAN's generator: superpixel against strided, folded against plain.

    python benchmarks/mu_gan.py                          TensorFlow, quarter width, CPU
    KERAS_BACKEND=jax python benchmarks/mu_gan.py --width full --batch 32       JAX, on a GPU

Forward and backward of the mean square error of a patch, no optimizer. The variants of a depth run
in turn in one process; ratios are medians over rounds of the ratio within a round.
"""

import argparse
import os
import statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from timing import device_name, in_turn, median_ratio

import tonezoo
from tonezoo.layers import FoldedConv1D

PAPER_CHANGE = {4: -14.5, 8: -13.8}
SEGMENT_SAMPLES = {4: 8192, 8: 16_384}
WIDTHS = {"full": "", "half": "_half", "quarter": "_quarter"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", choices=WIDTHS, default="quarter")
    parser.add_argument("--depths", default="4,8", help="of the presets; default: %(default)s")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print(
        f"{keras.backend.backend()}, {device_name()}, {os.cpu_count()} cores; {options.width} "
        f"width, batch {options.batch}, {options.rounds} rounds\n"
    )
    print("| depth | patch | variant | ms a step (median) | against superpixel, folded |")
    print("|---|---|---|---|---|")
    for levels in map(int, options.depths.split(",")):
        steps = {
            name: training_step(model, levels, options.batch)
            for name, model in variants(levels, options.width).items()
        }
        times = in_turn(steps, options.rounds)
        reference = times["superpixel, folded"]
        for name, values in times.items():
            ratio = median_ratio(values, reference)
            milliseconds = 1000 * statistics.median(values)
            print(
                f"| L={levels} | {SEGMENT_SAMPLES[levels]} | {name} | {milliseconds:.0f} "
                f"| {ratio:.2f}x |"
            )
        change = median_ratio(times["superpixel, plain"], times["strided"])
        print(
            f"\nL={levels}: superpixel against strided, both plain: {100 * (change - 1):+.1f} % "
            f"(the paper, on its GPU: {PAPER_CHANGE[levels]} %)\n"
        )
    print(
        "A superpixel after a convolution is a stride-2 convolution with tied weights: both forms "
        "need the same\nnumber of multiplications, so that on a CPU nothing is gained; what the "
        "paper's GPU gained lay elsewhere."
    )


def variants(levels: int, width: str) -> dict:
    """Returns the models of one depth by name, all of them built."""
    preset = f"l{levels}{WIDTHS[width]}"
    models = {
        "superpixel, folded": tonezoo.create_model("mu_gan", preset=preset),
        "superpixel, plain": tonezoo.create_model("mu_gan", preset=preset),
        "strided": tonezoo.create_model("mu_gan", preset=preset, downsampling="strided"),
    }
    # The strided convolutions have no folded form: to compare like with like, the paper's change
    # is measured without folding on either side.
    for name in ("superpixel, plain", "strided"):
        model = models[name]
        for block in (*model.down_blocks, *model.up_blocks):
            unfold(block.conv.branches)
        unfold([model.final_conv])
    for model in models.values():
        model.build((None, None, 1))
    return models


def unfold(layers) -> None:
    for layer in layers:
        if isinstance(layer, FoldedConv1D):
            layer.fold = 1


def training_step(model, levels: int, batch: int):
    """Returns a function that computes the gradients of one batch and waits for them."""
    samples = SEGMENT_SAMPLES[levels]
    random = np.random.default_rng(0)
    low = random.standard_normal((batch, samples // model.ratio, 1)).astype("float32")
    high = random.standard_normal((batch, samples, 1)).astype("float32")
    if keras.backend.backend() == "jax":
        return jax_step(model, low, high)
    return tensorflow_step(model, low, high)


def tensorflow_step(model, low, high):
    import tensorflow as tf

    variables = [variable.value for variable in model.trainable_variables]

    @tf.function(jit_compile=False)
    def gradients(low, high):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(low, training=True) - high))
        return tape.gradient(loss, variables)

    low, high = tf.constant(low), tf.constant(high)
    return lambda: [gradient.numpy() for gradient in gradients(low, high)][-1]


def jax_step(model, low, high):
    import jax

    trainable = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]

    def loss(trainable, low, high):
        output, _ = model.stateless_call(trainable, fixed, low, training=True)
        return jax.numpy.mean(jax.numpy.square(output - high))

    gradients = jax.jit(jax.grad(loss))
    low, high = jax.numpy.asarray(low), jax.numpy.asarray(high)
    return lambda: jax.block_until_ready(gradients(trainable, low, high))


if __name__ == "__main__":
    main()
