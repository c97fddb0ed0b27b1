"""Measures what activations fold back, what they do to a tone, and what they cost; one table.

    python benchmarks/activations.py [--rounds 30]

The aliasing-to-signal ratio is that of `tonezoo.analysis.aliasing`, for sines of amplitude 1; "the
tone itself" is the output at 0.4 cycles per sample, where a filter or a mean of two samples has
taken most, re its output at 0.01, for an amplitude of 0.001, at which nothing is bent. Times are
medians over the rounds of one layer after the other, forward and forward + backward (gradients of
weights and input), as tf.functions without XLA, or jitted by JAX.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from timing import device_name
from upsamplers import Size, measure

from tonezoo.analysis.aliasing import aliasing_to_signal_db
from tonezoo.layers import FilteredActivation1D, SnakeBeta1D

SIZE = Size(factor=1, length=1, channels=64, filters=64, batch=4, time=16_384)
FREQUENCIES = (0.1, 0.185, 0.3)
FORMS = {
    "LeakyReLU": lambda: keras.layers.LeakyReLU(0.2),
    "LeakyReLU, filtered": lambda: FilteredActivation1D(keras.layers.LeakyReLU(0.2)),
    "SnakeBeta": SnakeBeta1D,
    "SnakeBeta, filtered": lambda: FilteredActivation1D(SnakeBeta1D()),
    "SnakeBeta, antiderivative": lambda: SnakeBeta1D(antiderivative=True),
    "SnakeBeta, both": lambda: FilteredActivation1D(SnakeBeta1D(antiderivative=True)),
}


def run(layer, samples):
    """Returns the output of a layer for a signal (time,)."""
    return np.asarray(layer(samples[None, :, None].astype("float32")))[0, :, 0]


def gain(layer, frequency, samples=1000):
    """Returns the gain of a weak sine, in the middle of a signal."""
    sine = 1e-3 * np.sin(2 * np.pi * frequency * np.arange(3 * samples))
    spectra = [abs(np.fft.rfft(y[samples:-samples])) for y in (run(layer, sine), sine)]
    return spectra[0][round(frequency * samples)] / spectra[1][round(frequency * samples)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="timings of every function")
    rounds = parser.parse_args().rounds
    print(f"{device_name()}, {os.cpu_count()} CPU cores, load {os.getloadavg()[0]:.1f}; {SIZE}\n")
    milliseconds = measure({name: make() for name, make in FORMS.items()}, SIZE, rounds)
    header = [
        "activation",
        *(f"aliasing at {frequency} [dB]" for frequency in FREQUENCIES),
        "the tone itself [dB]",
        "forward [ms]",
        "forward + backward [ms]",
    ]
    print("| " + " | ".join(header) + " |")
    print("|" + " --- |" * len(header))
    for name, make in FORMS.items():
        layer = make()
        cells = [
            f"{aliasing_to_signal_db(lambda x, of=layer: run(of, x), frequency=frequency):.1f}"
            for frequency in FREQUENCIES
        ]
        cells.append(f"{20 * np.log10(gain(layer, 0.4) / gain(layer, 0.01)):.1f}")
        cells += [f"{np.median(times):.1f}" for times in milliseconds[name]]
        print("| " + " | ".join([name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
