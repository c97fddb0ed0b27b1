"""FilteredActivation1D: the definition written out, its reach, and what it does to aliases."""

import keras
import numpy as np
import pytest
from signals import noise, sine

from tonezoo.audio.interpolation import GRIDS, kaiser_low_pass
from tonezoo.layers import FilteredActivation1D


def published_taps(factor):
    """The filter as its source computes it, for an even factor."""
    half = int(6 * factor // 2)
    attenuation_db = 2.285 * (half - 1) * np.pi * 4 * (0.6 / factor) + 7.95
    window = np.kaiser(2 * half, 0.1102 * (attenuation_db - 8.7))
    taps = window * np.sinc((np.arange(-half, half) + 0.5) / factor)
    return taps / taps.sum()


def written_out(x, activation, factor):
    """Returns the filtered activation of (time,), sample by sample, as BigVGAN defines it."""
    taps = published_taps(factor)
    beyond = len(taps)
    held = np.pad(x, beyond, mode="edge")
    # Zeros between the samples; of their convolution the part around the samples' own places.
    spread = np.zeros(len(held) * factor)
    spread[::factor] = factor * held
    reach = (len(taps) - factor) // 2
    high = np.convolve(spread, taps)[reach:]
    high = activation(high[beyond * factor :][: len(x) * factor])
    high = np.pad(high, (reach, len(taps)), mode="edge")
    return np.array([high[n * factor :][: len(taps)] @ taps for n in range(len(x))])


@pytest.mark.parametrize("time", [1, 2, 40])
def test_it_is_the_definition(time):
    x = noise(time, std=1.0)
    layer = FilteredActivation1D("relu", dtype="float64")
    expected = written_out(x, lambda y: np.maximum(y, 0), 2)
    np.testing.assert_allclose(np.ravel(layer(x[None, :, None])), expected, atol=1e-12)


def test_at_other_factors_it_differs_by_the_scaled_phases_alone():
    x = noise(40, std=1.0)
    layer = FilteredActivation1D("relu", 4, dtype="float64")
    difference = np.ravel(layer(x[None, :, None])) - written_out(x, lambda y: np.maximum(y, 0), 4)
    assert 1e-6 < abs(difference).max() < 3e-3


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_it_delays_nothing(factor):
    layer = FilteredActivation1D("linear", factor, dtype="float64")
    impulse = np.eye(41)[None, :, [20]]
    y = np.ravel(layer(impulse))
    np.testing.assert_allclose(y, y[::-1], rtol=0, atol=1e-15)
    tone = np.cos(2 * np.pi * 0.05 * np.arange(81))
    difference = np.ravel(layer(tone[None, :, None])) - tone
    assert abs(difference[10:-10]).max() < 5e-3


def test_the_filter_has_the_published_taps():
    for factor in (2, 4, 8):
        np.testing.assert_allclose(kaiser_low_pass(factor), published_taps(factor), atol=1e-15)
    np.testing.assert_allclose(
        kaiser_low_pass(2)[:6], [0.0020, 0.0094, -0.0255, -0.0577, 0.1286, 0.4432], atol=5e-5
    )
    lengths = [len(kaiser_low_pass(r, grid)) for grid in GRIDS for r in (1, 2, 3, 4)]
    assert lengths == [1, 12, 17, 24, 1, 11, 17, 23]


@pytest.mark.parametrize("factor", [2, 3])
def test_context_is_what_an_output_depends_on_and_no_more(factor):
    time, middle = 61, 30
    layer = FilteredActivation1D("linear", factor)
    y = np.array(layer(np.eye(time)[:, :, None]))[:, middle, 0]
    used = np.flatnonzero(abs(y)) - middle
    assert layer.context == (-used[0], used[-1])


def test_what_an_activation_folds_back_is_softer_by_10_db():
    """The aliases of a bent sine: all that does not lie at its harmonics, in a prime length."""
    length, cycles = 4093, 757
    tone = sine(cycles, length, length)[None, :, None]
    ratios = []
    for layer in (keras.layers.Activation("relu"), FilteredActivation1D("relu")):
        # Only the part away from the ends, which are held, is periodic.
        y = np.array(layer(np.tile(tone, (1, 3, 1))))[0, length : 2 * length, 0]
        energy = np.abs(np.fft.rfft(y)) ** 2
        harmonics = energy[[0, cycles, 2 * cycles]].sum()
        ratios.append(10 * np.log10((energy.sum() - harmonics) / harmonics))
    assert ratios[1] < ratios[0] - 10
