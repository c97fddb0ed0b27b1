"""NoisePath1D: its definition in NumPy, the band that it leaves alone, and its lines."""

import keras
import numpy as np
import pytest
from signals import noise

from tonezoo.audio.interpolation import kaiser_low_pass
from tonezoo.layers import Interpolate1D, NoisePath1D


def test_against_its_definition_away_from_the_ends():
    x = noise(1, 40, 3, std=1.0).astype("float64")
    layer = NoisePath1D(2, factor=6, last_factor=2, dtype="float64")
    y = np.array(layer(x))[0]
    assert y.shape == (240, 2)
    spread = np.zeros((240, 3))
    spread[::6] = x[0]
    (kernel,) = layer.get_weights()
    assert kernel.shape == (7, 3, 2)
    taps = kaiser_low_pass(2, "aligned")
    for f in range(2):
        # Keras convolves without turning the kernel around.
        v = sum(np.convolve(spread[:, c], kernel[::-1, c, f], "same") for c in range(3))
        expected = v - np.convolve(v, taps, "same")
        np.testing.assert_allclose(y[20:-20, f], expected[20:-20], rtol=0, atol=1e-12)


def test_the_band_of_the_interpolation_stays_as_it_is():
    keras.utils.set_random_seed(0)
    y = np.array(NoisePath1D(1, 8, 4, dtype="float64")(noise(1, 512, 1, std=1.0)))[0, 1024:3072, 0]
    power = abs(np.fft.rfft(y * np.hanning(len(y)))) ** 2
    share = power[: len(power) // 16].sum() / power.sum()  # a quarter of that band
    assert share < 1e-6


def test_of_a_constant_it_makes_lines_at_the_multiples_of_the_rate_of_x0():
    keras.utils.set_random_seed(0)
    y = np.array(NoisePath1D(1, 8, 2, dtype="float64")(np.ones((1, 100, 1))))[0, 400:464, 0]
    lines = abs(np.fft.rfft(y)) / len(y)
    multiples = np.arange(0, 33, 8)
    assert np.delete(lines, multiples).max() < 1e-12
    assert lines[multiples[3:]].max() > 0.01  # above the band
    assert lines[0] < 1e-12


def test_the_sum_of_both_paths_has_one_length():
    low = noise(1, 24, 4)
    y = Interpolate1D(2, "kaiser")(low) + NoisePath1D(4, 6, 2)(noise(1, 8, 3))
    assert y.shape == (1, 48, 4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"factor": 6, "last_factor": 4}, "factor must be a multiple of last_factor"),
        ({"factor": 6, "last_factor": 1}, "last_factor must be an integer of at least 2"),
        ({"factor": 1, "last_factor": 2}, "factor must be an integer of at least 2"),
        ({"factor": 6, "last_factor": 2, "kernel_size": 0}, "kernel_size must be an integer"),
        ({"factor": 6, "last_factor": 2, "filters": 0}, "filters must be an integer"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        NoisePath1D(**{"filters": 2, **arguments})
