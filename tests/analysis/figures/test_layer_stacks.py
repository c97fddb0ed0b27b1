"""Figures 6, 7, 8 and 10 over many seeds, against tones and responses computed on their own."""

import numpy as np
import pytest

from tonezoo.analysis.figures import FIGURES, Material
from tonezoo.analysis.figures import layer_stacks as stacks
from tonezoo.analysis.figures.starts import noise, seeded

SEEDS = range(20)
ONES = np.ones(stacks.SAMPLES)
MULTIPLES = [4000.0, 8000.0, 12_000.0, 16_000.0]


def weights_of(make, seed):
    with seeded(seed):
        layers = make()
        for layer in layers:
            layer.build((1, None, 1))
    return [[np.array(weight) for weight in layer.weights] for layer in layers]


def steady_subpixel(kernel, bias, x):
    """A period of a subpixel convolution's output for a period of its input, sample by sample."""
    taps, _, factor = kernel.shape
    y = np.zeros(factor * len(x))
    for n in range(len(x)):
        for phase in range(factor):
            y[factor * n + phase] = bias[phase] + sum(
                kernel[tap, 0, phase] * x[(n + tap - taps // 2) % len(x)] for tap in range(taps)
            )
    return y


def steady_transposed(kernel, bias, x):
    y = np.full(2 * len(x), bias[0], "float64")
    for n in range(len(x)):
        for tap in range(len(kernel)):
            y[(2 * n + tap) % len(y)] += kernel[tap, 0, 0] * x[n]
    return y


@pytest.mark.parametrize(
    "make, steady, lengths",
    [
        (stacks.subpixel, steady_subpixel, [12_000, 24_000, 48_000, 96_000]),
        (stacks.transposed, steady_transposed, [12_000, 24_002, 48_006, 96_014]),
    ],
)
def test_a_constant_becomes_the_tones_that_the_weights_say(make, steady, lengths):
    for seed in SEEDS:
        found = stacks.stack(make, ONES, seed)
        assert [len(samples) for samples in found.samples] == lengths
        x = np.ones(4)
        for weights in weights_of(make, seed):
            x = steady(*weights, x)
        # Four multiples of the input's rate; the reference is the constant of 1.
        expected = 20 * np.log10(abs(np.fft.rfft(x))[len(x) // 8 :: len(x) // 8] / len(x))
        measured = [found.output.at_db(hz) for hz in MULTIPLES]
        np.testing.assert_allclose(measured, expected, atol=0.1)
        # Nothing else is there.
        heard = [hz for hz, level in zip(MULTIPLES, expected, strict=True) if level > -75]
        assert set(heard) <= {*found.output.tones_hz()} <= {*MULTIPLES} and len(heard) > 2


@pytest.mark.parametrize("method, depth_db", [("nearest", -20), ("linear", -22)])
def test_interpolation_leaves_valleys_at_the_multiples_and_no_tones(method, depth_db):
    music = Material().music(stacks.INPUT_RATE_HZ)
    for seed in SEEDS:
        samples = music if method == "nearest" else noise(stacks.SAMPLES, seed)
        found = stacks.stack(lambda: stacks.interpolated(method), samples, seed)
        assert [len(x) for x in found.samples] == [len(samples) * k for k in (1, 2, 4, 8)]
        numbers = stacks.filtering(found.output)
        assert max(numbers["valleys_stand_out_db"].values()) < depth_db
        constant = stacks.stack(lambda: stacks.interpolated(method), ONES, seed)
        assert not constant.output.tones_hz(floor_db=-120)


def test_linear_interpolation_falls_as_its_kernel_does():
    rates_hz = (8000, 16_000, 32_000)
    bands = {}
    for seed in SEEDS:
        found = stacks.stack(stacks.linear, noise(stacks.SAMPLES, seed))
        for hz in (100, 1000, 2000, 3000, 6000):
            bands.setdefault(hz, []).append(found.output.band_db(hz - 50, hz + 50))
    # 1, 3, 3, 1 over 4 for each doubling: three cosines, and a gain of 2 that all share.
    cosines = {hz: abs(np.prod(np.cos(np.pi * hz / np.array(rates_hz)) ** 3)) for hz in bands}
    for hz, levels_db in bands.items():
        expected_db = 20 * np.log10(cosines[hz] / cosines[100])
        assert np.mean(levels_db) - np.mean(bands[100]) == pytest.approx(expected_db, abs=0.7), hz


def test_padding_smears_the_borders_over_all_frequencies():
    for seed in SEEDS:
        numbers = FIGURES["10"](seed=seed).numbers
        without, padded = numbers["without padding"], numbers["with padding"]
        assert without["first_frame_db"] < -120 < -95 < padded["first_frame_db"]
        assert padded["middle_frame_db"] == without["middle_frame_db"]
        np.testing.assert_allclose(
            [*padded["tones_db"].values()], [*without["tones_db"].values()], atol=0.1
        )
    assert FIGURES["8"](seed=seed).numbers["transposed"]["tones_db"] == without["tones_db"]


def test_figures_say_what_their_numbers_are():
    figure = FIGURES["7"]()
    for hz, level_db in figure.numbers["tones_db"].items():
        assert f"{int(hz) // 1000} kHz {level_db:.0f} dB" in figure.findings[0]
    assert [len(row) for row in FIGURES["6"]().rows] == [4, 4]
    assert {row[0].floor_db for row in FIGURES["6"]().rows} == {-100}
