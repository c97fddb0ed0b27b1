"""FilteredActivation1D: the definition written out, its reach, and what it does to aliases."""

import keras
import numpy as np
import pytest
from signals import noise, sine

from tonezoo.layers import FilteredActivation1D
from tonezoo.layers.filtered_activation import kaiser_low_pass


def written_out(x, activation, factor):
    """Returns the filtered activation of (time,), sample by sample, as BigVGAN defines it."""
    taps = kaiser_low_pass(factor)
    beyond = len(taps)
    held = np.pad(x, beyond, mode="edge")
    # Zeros between the samples; of their convolution the part around the samples' own places.
    spread = np.zeros(len(held) * factor)
    spread[::factor] = factor * held
    high = np.convolve(spread, taps)[(len(taps) - factor) // 2 :]
    high = activation(high[beyond * factor :][: len(x) * factor])
    high = np.pad(high, ((len(taps) - 1) // 2, len(taps) // 2), mode="edge")
    return np.array([high[n * factor :][: len(taps)] @ taps for n in range(len(x))])


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("time", [1, 2, 40])
def test_it_is_the_definition(factor, time):
    x = noise(time, std=1.0)
    layer = FilteredActivation1D("relu", factor)
    expected = written_out(x, lambda y: np.maximum(y, 0), factor)
    np.testing.assert_allclose(np.ravel(layer(x[None, :, None])), expected, atol=1e-6)


def test_the_filter_has_the_published_taps():
    taps = kaiser_low_pass(2)
    np.testing.assert_allclose(taps, taps[::-1])
    np.testing.assert_allclose(
        taps[:6], [0.0020, 0.0094, -0.0255, -0.0577, 0.1286, 0.4432], atol=5e-5
    )


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
