"""Times Open-Unmix beside the PyTorch package, on the same weights, threads and mixture.

    python benchmarks/open_unmix.py [--seconds 10] [--rounds 5]

Four networks of full size, the transforms, and one iteration of the filter between the sources, on
stereo noise. Both run in turn in one process; times are medians over the rounds, the ratio the
median of the ratios within a round. That both compute the same is a matter of the tests. The
package imports torchaudio, for files, which are not read here: an empty module stands for it.
"""

import argparse
import os
import statistics
import sys
import types

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
from timing import in_turn, median_ratio

sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of the mixture")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    import tensorflow as tf
    import torch
    from openunmix.model import OpenUnmix, Separator

    import tonezoo
    from tonezoo.models.open_unmix_weights import load_torch_weights

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    ours = tonezoo.create_model("open_unmix", mixture_level="file")
    networks = {
        source: OpenUnmix(nb_bins=2049, max_bin=ours.input_bins).eval() for source in ours.sources
    }
    load_torch_weights(ours, {s: network.state_dict() for s, network in networks.items()})
    theirs = Separator(networks, niter=1).eval()
    samples = round(options.seconds * ours.sample_rate_hz)
    mixture = np.random.default_rng(0).normal(0, 0.1, (1, samples, 2)).astype("float32")
    torch_mixture = torch.from_numpy(mixture.transpose(0, 2, 1).copy())
    tf_call, tf_mixture = tf.function(ours), tf.constant(mixture)

    def torch_call():
        with torch.inference_mode():
            return theirs(torch_mixture).numpy()

    calls = {"PyTorch": torch_call, "tonezoo": lambda: tf_call(tf_mixture).numpy()}
    times = in_turn(calls, options.rounds)
    print(
        f"{options.seconds:g} s of stereo, {torch.get_num_threads()} threads, {options.rounds} "
        f"rounds; {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}; TensorFlow "
        f"{tf.__version__}, torch {torch.__version__}.\n"
    )
    print("| | s | of PyTorch |\n| --- | --- | --- |")
    for name, seconds in times.items():
        ratio = median_ratio(seconds, times["PyTorch"])
        print(f"| {name} | {statistics.median(seconds):.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
