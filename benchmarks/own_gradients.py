"""The gradients that layers bring with them on TensorFlow, beside those that TensorFlow derives.

    python benchmarks/own_gradients.py [--rounds 5] [--recipes demucs_small_music,...]

A recurrent layer, a spectrum there and back, and training steps of recipes for separation on noise
(forwards and backwards, without the optimiser), with either gradient in turn. Prints a Markdown
table of medians and of the median ratio within a round.
"""

import argparse
import os
import statistics

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

from commands import print_row
from timing import in_turn, median_ratio

from tonezoo.memory import keep_freed_memory

RECIPES = "demucs_small_music,demucs_small_subpixel"
# Of the layers' inputs: about those of `demucs_small_music`.
LSTM_SHAPE, SIGNAL_SHAPE = (8, 64, 512), (48, 65_536, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recipes", default=RECIPES, help="separated by commas; none if empty")
    options = parser.parse_args()
    keep_freed_memory()
    import keras
    import tensorflow as tf

    from tonezoo.layers import STFT1D, BidirectionalLSTM, InverseSTFT1D

    print(
        f"{os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}; TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}.\n"
    )
    print_row("what", "TensorFlow's (s)", "ours (s)", "ours, of TensorFlow's")
    print_row(*["---"] * 4)
    there_and_back = keras.Sequential([STFT1D(4096, 1024), InverseSTFT1D(4096, 1024)])
    cases = {
        f"`BidirectionalLSTM(256)` of {LSTM_SHAPE}": (BidirectionalLSTM(256), LSTM_SHAPE),
        f"`STFT1D(4096, 1024)` and back of {SIGNAL_SHAPE}": (there_and_back, SIGNAL_SHAPE),
    }
    for title, (layer, shape) in cases.items():
        compare(title, layer, tf.random.stateless_normal(shape, (0, 0)), options.rounds)
    for recipe in filter(None, options.recipes.split(",")):
        model, x = model_and_input(recipe)
        compare(f"step of `{recipe}`", model, x, options.rounds)


def model_and_input(recipe: str):
    import tensorflow as tf

    from tonezoo.recipes import load_recipe
    from tonezoo.recipes.separation import Config

    cfg = load_recipe(recipe).config
    if not isinstance(cfg, Config):
        raise SystemExit(f"{recipe} is not a recipe for separation.")
    model = cfg.new_model(cfg.dtype)
    samples = model.valid_length(round(cfg.segment_s * cfg.sample_rate_hz))
    return model, tf.random.stateless_normal((cfg.batch_size, samples, cfg.channels), (0, 0))


def compare(title: str, layer, x, rounds: int) -> None:
    import keras
    import tensorflow as tf

    layer.build(x.shape)
    ours = keras.ops.custom_gradient

    def step(custom_gradient):
        @tf.function
        def gradients(x):
            # The layers ask for it while the function is traced.
            keras.ops.custom_gradient = custom_gradient
            try:
                with tf.GradientTape() as tape:
                    tape.watch(x)
                    loss = tf.reduce_mean(layer(x, training=True) ** 2)
                return tape.gradient(loss, [x, *layer.trainable_variables])
            finally:
                keras.ops.custom_gradient = ours

        return lambda: [gradient.numpy() for gradient in gradients(x)]

    steps = {"derived": step(lambda f: lambda *args: f(*args)[0]), "ours": step(ours)}
    seconds = in_turn(steps, rounds)
    medians = (f"{statistics.median(times):.2f}" for times in seconds.values())
    print_row(title, *medians, f"{median_ratio(seconds['ours'], seconds['derived']):.2f}")


if __name__ == "__main__":
    main()
