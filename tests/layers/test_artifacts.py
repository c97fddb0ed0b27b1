"""Where upsampling artifacts come from: tones, replicas, droop and offsets, layer by layer."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from tonezoo.layers import Interpolate1D, SubpixelConv1D, TransposedConv1D, upsampler

FACTOR = 4

TONAL = {
    "no overlap": lambda: TransposedConv1D(1, 4, 4, use_bias=False),
    "full overlap": lambda: TransposedConv1D(1, 8, 4, use_bias=False),
    "partial overlap": lambda: TransposedConv1D(1, 6, 4, use_bias=False),
    "gaps": lambda: TransposedConv1D(1, 3, 4, use_bias=False),
    "subpixel": lambda: SubpixelConv1D(1, 3, 4, icnr=False, use_bias=False),
    "stretch": lambda: upsampler("stretch", 1, 9, 4, use_bias=False),
}

TONELESS = {
    "icnr": lambda: SubpixelConv1D(1, 3, 4, use_bias=False),
    "constant weights": lambda: SubpixelConv1D(
        1, 3, 4, icnr=False, use_bias=False, kernel_initializer="ones"
    ),
    **{
        kind: lambda kind=kind: upsampler(kind, 1, 9, 4, use_bias=False)
        for kind in ("nearest", "linear", "cubic", "sinc", "kaiser", "learned")
    },
}


def spectrum(chain, x):
    """Returns the amplitudes in bins of 1/32 of the rate, of 32 samples far from the borders."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these overlap only in part, on purpose
        y = x[None, :, None]
        for make in chain:
            y = make()(y)
    y = ops.convert_to_numpy(y)[0, :, 0]
    middle = len(y) // 2 // 32 * 32
    return abs(np.fft.rfft(y[middle : middle + 32])) / 32


@pytest.fixture(autouse=True)
def float64():
    keras.config.set_dtype_policy("float64")


@pytest.mark.parametrize("name", TONAL)
def test_a_constant_comes_out_with_tones_at_multiples_of_the_rate_over_the_factor(name):
    levels = spectrum([TONAL[name]], np.ones(64))
    multiples = np.arange(0, 17, 32 // FACTOR)
    assert levels[multiples[1:]].max() > 0.01
    assert np.delete(levels, multiples).max() < 1e-12


@pytest.mark.parametrize("name", TONELESS)
def test_a_constant_comes_out_without_tones(name):
    levels = spectrum([TONELESS[name]], np.ones(64))
    assert levels[0] > 0.01
    assert levels[1:].max() < 1e-8


def test_the_tones_of_a_layer_have_replicas_behind_the_next():
    def tonal():
        return SubpixelConv1D(1, 3, 2, icnr=False, use_bias=False)

    def toneless():
        return SubpixelConv1D(1, 3, 2, use_bias=False)

    ones = np.ones(64)
    # Half the rate after the first x2 is a quarter of it, and three quarters, after the second.
    assert spectrum([tonal, toneless], ones)[8] > 0.01
    assert spectrum([toneless, tonal], ones)[8] < 1e-12
    assert spectrum([toneless, tonal], ones)[16] > 0.01
    # A tone of the input appears around every multiple of the old rate as well.
    tone = np.cos(2 * np.pi * np.arange(64) / 8)  # bin 2 of 32 after upsampling by 2
    levels = spectrum([tonal], tone)
    assert levels[2] > 0.01 and levels[16 - 2] > 0.01
    assert np.delete(levels, [2, 14]).max() < 1e-12


def response(factor, method, grid, frequency):
    """Returns the gain, per input sample, at a frequency in cycles per output sample."""
    impulse = np.zeros(41)
    impulse[20] = 1
    layer = Interpolate1D(factor, method, grid)
    taps = ops.convert_to_numpy(layer(impulse[None, :, None]))[0, :, 0]
    return abs(np.exp(-2j * np.pi * frequency * np.arange(len(taps))) @ taps) / factor


@pytest.mark.parametrize(
    "method, grid, droops_db, precision",
    [
        ("nearest", "half_pixel", {2: -3.0, 4: -3.7, 8: -3.9}, 0.05),
        ("linear", "aligned", {2: -6.0, 4: -7.4, 8: -7.7}, 0.05),
        ("linear", "half_pixel", {2: -9.03, 4: -8.08, 8: -7.90}, 0.005),
    ],
)
def test_droop_at_the_nyquist_frequency_of_the_input(method, grid, droops_db, precision):
    for factor, expected in droops_db.items():
        droop = 20 * np.log10(response(factor, method, grid, 1 / (2 * factor)))
        assert abs(droop - expected) < precision


@pytest.mark.parametrize("frequency", [0.01, 0.07, 0.125, 0.2, 0.33, 0.5])
def test_nearest_is_a_rectangular_and_linear_a_triangular_filter(frequency):
    sinc = abs(np.sin(np.pi * FACTOR * frequency) / (FACTOR * np.sin(np.pi * frequency)))
    assert abs(response(FACTOR, "nearest", "half_pixel", frequency) - sinc) < 1e-12
    assert abs(response(FACTOR, "linear", "aligned", frequency) - sinc**2) < 1e-12


def test_the_better_interpolators_droop_less_and_reject_images_more():
    passed = {
        m: response(4, m, None, 0.05) for m in ("nearest", "linear", "cubic", "sinc", "stretch")
    }
    images = {m: response(4, m, None, 0.25 - 0.05) for m in passed}
    assert passed["linear"] < passed["nearest"] < passed["cubic"] < passed["sinc"] < 1.01
    assert images["sinc"] < images["cubic"] < images["linear"] < images["nearest"]
    assert abs(passed["stretch"] - 0.25) < 1e-12 and abs(images["stretch"] - 0.25) < 1e-12


@pytest.mark.parametrize("kind", ["transposed", "subpixel"])
def test_offsets_become_tones_and_without_bias_there_are_none(kind):
    def hidden(use_bias):
        return lambda: keras.layers.Conv1D(
            1, 3, padding="same", use_bias=use_bias, bias_initializer="ones"
        )

    def tonal():
        options = {"icnr": False} if kind == "subpixel" else {}
        return upsampler(kind, 1, 8, FACTOR, use_bias=False, **options)

    silence = np.zeros(64)
    assert spectrum([hidden(True), tonal], silence)[[8, 16]].max() > 0.01
    assert spectrum([hidden(False), tonal], silence).max() == 0


def test_a_rectifier_makes_an_offset_that_becomes_a_tone():
    # 8 samples a period and no mean: bin 1 of 32 behind x4, with images around bins 8 and 16.
    tone = np.sin(2 * np.pi * np.arange(64) / 8)

    def tonal():
        return TransposedConv1D(1, 8, 4, use_bias=False)

    assert spectrum([tonal], tone)[[8, 16]].max() < 1e-12
    assert spectrum([keras.layers.ReLU, tonal], tone)[[8, 16]].max() > 0.01


@pytest.mark.parametrize(
    "make, tonal",
    [
        (lambda: SubpixelConv1D(8, 3, 4, icnr=False, use_bias=False), True),
        (lambda: TransposedConv1D(8, 8, 4, use_bias=False), True),
        (lambda: SubpixelConv1D(8, 3, 4, use_bias=False), False),
        (lambda: upsampler("nearest", 8, 9, 4, use_bias=False), False),
    ],
    ids=["subpixel", "transposed", "icnr", "nearest"],
)
def test_phase_profile(make, tonal):
    """std over the phases of the mean output, relative to its mean: 0 where phases are alike."""
    y = ops.convert_to_numpy(make()(np.ones((1, 32, 8))))[0, 32:-32]
    profile = y.reshape(-1, 4, 8).mean(axis=0)
    spread = np.std(profile, axis=0) / abs(profile.mean(axis=0))
    assert (spread.max() > 0.5) if tonal else (spread.max() < 1e-12)
