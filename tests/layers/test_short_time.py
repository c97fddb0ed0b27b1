"""The short-time Fourier transform and its inverse, against their definitions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tonezoo.layers import STFT1D, InverseSTFT1D

SIZES = [(16, 4), (12, 4), (15, 5), (256, 64)]


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def defined(x, window_samples, hop_samples):
    """The sum in the docstring of STFT1D for x (time,), term by term: complex (frames, bins)."""
    m = np.arange(window_samples)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * m / window_samples)
    first = -((window_samples - hop_samples) // 2)
    frames = np.zeros((-(-len(x) // hop_samples), window_samples // 2 + 1), complex)
    for n, k in np.ndindex(frames.shape):
        for i in m:
            sample = n * hop_samples + first + i
            if 0 <= sample < len(x):
                turn = np.exp(-2j * np.pi * k * i / window_samples)
                frames[n, k] += 4 / window_samples * window[i] * x[sample] * turn
    return frames


@pytest.mark.parametrize(("window_samples", "hop_samples"), SIZES[:3])
@pytest.mark.parametrize("time", [1, 21, 40])
def test_the_transform_is_the_sum_that_defines_it(window_samples, hop_samples, time):
    x = noise(2, time, 1)
    layer = STFT1D(window_samples, hop_samples, dtype="float64")
    real, imaginary = np.split(ops.convert_to_numpy(layer(x)), 2, axis=-1)
    for row in range(2):
        expected = defined(x[row, :, 0], window_samples, hop_samples)
        np.testing.assert_allclose(real[row] + 1j * imaginary[row], expected, atol=1e-12)


@pytest.mark.parametrize(("window_samples", "hop_samples"), SIZES)
@pytest.mark.parametrize("frames", [1, 20])
def test_the_inverse_is_a_sum_of_windowed_cosines(window_samples, hop_samples, frames):
    bins = window_samples // 2 + 1
    y = noise(1, frames, 2 * bins)
    signal = np.zeros(window_samples + frames * hop_samples)
    m = np.arange(window_samples)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * m / window_samples)
    # A bin between 0 and the Nyquist frequency stands for two of the two-sided spectrum.
    pairs = np.where((np.arange(bins) == 0) | (2 * np.arange(bins) == window_samples), 1, 2)
    for n in range(frames):
        coefficients = pairs * (y[0, n, :bins] + 1j * y[0, n, bins:])
        turns = np.exp(2j * np.pi * np.outer(np.arange(bins), m) / window_samples)
        piece = np.real(coefficients @ turns) / 4
        signal[n * hop_samples : n * hop_samples + window_samples] += window * piece
    squares = 0.375 * window_samples / hop_samples
    first = (window_samples - hop_samples) // 2
    expected = signal[first : first + frames * hop_samples] / squares
    layer = InverseSTFT1D(window_samples, hop_samples, dtype="float64")
    np.testing.assert_allclose(ops.convert_to_numpy(layer(y))[0, :, 0], expected, atol=1e-12)


@pytest.mark.parametrize(("window_samples", "hop_samples"), SIZES)
def test_the_inverse_brings_back_all_but_the_ends(window_samples, hop_samples):
    x = noise(1, 1000, 1)
    options = {"window_samples": window_samples, "hop_samples": hop_samples, "dtype": "float64"}
    back = ops.convert_to_numpy(InverseSTFT1D(**options)(STFT1D(**options)(x)))
    ends = window_samples - hop_samples
    inside = slice(ends, 1000 - ends)
    np.testing.assert_allclose(back[:, inside], x[:, inside], atol=1e-12)


@pytest.mark.parametrize("layer", [STFT1D, InverseSTFT1D])
@pytest.mark.parametrize(("window_samples", "hop_samples"), SIZES)
def test_gradients_are_those_of_a_linear_map(layer, window_samples, hop_samples):
    """<map(v), u> = <v, gradient of <map(x), u> by x> for whatever v and u."""
    channels = 1 if layer is STFT1D else 2 * (window_samples // 2 + 1)
    layer = layer(window_samples, hop_samples, dtype="float64")
    x, v = tf.constant(noise(3, 30, channels)), noise(3, 30, channels)[::-1]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
    u = noise(*y.shape)[:, ::-1]
    gradient = tape.gradient(y, x, output_gradients=tf.constant(u))
    np.testing.assert_allclose(np.sum(layer(v) * u), np.sum(v * gradient), rtol=1e-10)


def test_half_precision_is_that_of_the_result_alone():
    x = noise(1, 200, 1).astype("float32")
    exact = ops.convert_to_numpy(STFT1D(64, 16)(x))
    half = STFT1D(64, 16, dtype="float16")(x)
    assert keras.backend.standardize_dtype(half.dtype) == "float16"
    error = np.abs(ops.convert_to_numpy(half).astype("float32") - exact).max()
    assert error < 2e-3 * np.abs(exact).max()


def test_a_frame_is_valid_if_a_sample_of_its_hop_is():
    mask = np.arange(12)[None] < np.array([[5], [8]])
    frames = STFT1D(12, 4).compute_mask(None, ops.convert_to_tensor(mask))
    assert ops.convert_to_numpy(frames).tolist() == [[True, True, False]] * 2
    samples = InverseSTFT1D(12, 4).compute_mask(None, frames)
    assert ops.convert_to_numpy(samples)[0].tolist() == 8 * [True] + 4 * [False]


@pytest.mark.parametrize("layer", [STFT1D, InverseSTFT1D])
@pytest.mark.parametrize(("window_samples", "hop_samples"), [(16, 5), (8, 4), (16, 16), (15, 4)])
def test_windows_that_do_not_overlap_evenly_are_refused(layer, window_samples, hop_samples):
    with pytest.raises(ValueError, match="hop_samples times an integer of at least 3"):
        layer(window_samples, hop_samples)


def test_an_even_multiple_of_an_odd_hop_has_no_middle():
    with pytest.raises(ValueError, match="both even or both odd"):
        STFT1D(20, 5)


@pytest.mark.parametrize(
    ("layer", "channels", "accepted"), [(STFT1D, 2, 1), (InverseSTFT1D, 16, 18)]
)
def test_other_numbers_of_channels_are_refused(layer, channels, accepted):
    with pytest.raises(ValueError, match=rf"\(batch, time, {accepted}\).*\(1, 8, {channels}\)"):
        layer(16, 4)(np.zeros((1, 8, channels), "float32"))
