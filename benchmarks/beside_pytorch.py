"""Times models beside the PyTorch packages, on the same weights, threads and input.

    python benchmarks/beside_pytorch.py [--models open_unmix,vocos] [--seconds 10] [--rounds 5]

Open-Unmix (package openunmix): four networks of full size, the transforms, and one iteration of the
filter between the sources, on stereo noise. Vocos (package vocos): the network of full size on a
mel spectrogram of noise. Both run in turn in one process; times are medians over the rounds, the
ratio the median of the ratios within a round. That both compute the same is a matter of the tests.
What the packages import for files alone need not be installed.
"""

import argparse
import os
import statistics
import sys
import types
from pathlib import Path

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.append(str(Path(__file__).parents[1] / "tests"))

import numpy as np
from timing import in_turn, median_ratio

import tonezoo


def open_unmix(seconds: float):
    """Returns our model, the package's, and an input (batch, time, channels)."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    from openunmix.model import OpenUnmix, Separator

    from tonezoo.models.open_unmix_weights import load_torch_weights

    ours = tonezoo.create_model("open_unmix", mixture_level="file")
    networks = {
        source: OpenUnmix(nb_bins=2049, max_bin=ours.input_bins).eval() for source in ours.sources
    }
    load_torch_weights(ours, {s: network.state_dict() for s, network in networks.items()})
    samples = round(seconds * ours.sample_rate_hz)
    return ours, Separator(networks, niter=1).eval(), noise(samples, ours.channels)


def vocos(seconds: float):
    """Returns our model, the package's, and an input (batch, frames, bands)."""
    import torch
    import vocos_package

    ours = tonezoo.create_model("vocos")
    backbone, head = vocos_package.network(ours)
    vocos_package.take_weights(ours, backbone, head)
    frames = round(seconds * ours.sample_rate_hz / ours.hop_samples)
    return ours, torch.nn.Sequential(backbone, head), noise(frames, ours.bands)


MODELS = {"open_unmix": open_unmix, "vocos": vocos}


def noise(time: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (1, time, channels)).astype("float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS), help="separated by commas")
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    import tensorflow as tf
    import torch

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    print(
        f"{options.seconds:g} s of audio, {torch.get_num_threads()} threads, {options.rounds} "
        f"rounds; {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}; TensorFlow "
        f"{tf.__version__}, torch {torch.__version__}.\n"
    )
    print("| model | PyTorch (s) | tonezoo (s) | of PyTorch |\n| --- | --- | --- | --- |")
    for name in options.models.split(","):
        times = in_turn(calls(*MODELS[name](options.seconds)), options.rounds)
        cells = [f"{statistics.median(seconds):.2f}" for seconds in times.values()]
        ratio = median_ratio(times["tonezoo"], times["PyTorch"])
        print(f"| {name} | {' | '.join(cells)} | {ratio:.2f} |", flush=True)


def calls(ours, theirs, signal) -> dict:
    """Returns name -> function that runs a model on a signal."""
    import tensorflow as tf
    import torch

    torch_signal = torch.from_numpy(signal.transpose(0, 2, 1).copy())
    tf_call, tf_signal = tf.function(ours), tf.constant(signal)

    def torch_call():
        with torch.inference_mode():
            return theirs(torch_signal).numpy()

    return {"PyTorch": torch_call, "tonezoo": lambda: tf_call(tf_signal).numpy()}


if __name__ == "__main__":
    main()
