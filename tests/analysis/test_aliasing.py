"""The aliasing-to-signal ratio of sums of sines that are written down."""

import numpy as np
import pytest

from tonezoo.analysis.aliasing import PERIOD_SAMPLES, aliasing_to_signal_db

CYCLES = round(0.2 * PERIOD_SAMPLES)


def cosine(cycles, samples=3 * PERIOD_SAMPLES):
    return np.cos(2 * np.pi * cycles * np.arange(samples) / PERIOD_SAMPLES)


def test_harmonics_are_signal_and_the_rest_is_not():
    # Energies: 1 at 0 Hz, 1/2 for a cosine of amplitude 1.
    harmonic = cosine(CYCLES) + 0.5 * cosine(2 * CYCLES) + 0.5
    assert aliasing_to_signal_db(lambda x: harmonic, frequency=0.2) < -200
    alien = harmonic + 0.1 * cosine(CYCLES + 1)
    ratio = (0.1**2 / 2) / (1 / 2 + 0.5**2 / 2 + 0.5**2)
    measured = aliasing_to_signal_db(lambda x: alien, frequency=0.2)
    assert abs(measured - 10 * np.log10(ratio)) < 1e-9


def test_a_harmonic_that_is_folded_back_is_aliasing():
    # cos^3 = 3/4 cos + 1/4 cos of three times the frequency, which lies beyond half the rate.
    measured = aliasing_to_signal_db(lambda x: x**3, frequency=0.2)
    assert abs(measured - 10 * np.log10(1 / 9)) < 1e-9
    assert aliasing_to_signal_db(lambda x: x**3, frequency=0.15) < -200


def test_the_level_is_that_of_the_sine():
    def bend(x):
        return x + x**3

    # x^3 of level a: a^3/4 at three times the frequency, a + 3 a^3 / 4 at the sine's own.
    for level in (0.5, 2.0):
        expected = 20 * np.log10(level**3 / 4 / (level + 0.75 * level**3))
        measured = aliasing_to_signal_db(bend, frequency=0.2, level=level)
        assert abs(measured - expected) < 1e-9


def test_the_images_of_zero_insertion_are_as_strong_as_the_signal():
    def insert_zeros(x):
        y = np.zeros(4 * len(x))
        y[::4] = x
        return y

    # Four of equal energy, one of them the sine itself.
    measured = aliasing_to_signal_db(insert_zeros, frequency=0.2, factor=4)
    assert abs(measured - 10 * np.log10(3)) < 1e-9


def test_channels_add_their_energies():
    two = np.stack([cosine(CYCLES), 0.1 * cosine(CYCLES + 7)], axis=1)
    assert abs(aliasing_to_signal_db(lambda x: two, frequency=0.2) + 20) < 1e-9


def test_only_the_middle_period_counts():
    def with_ends(x):
        y = x.copy()
        y[:100], y[-100:] = 5, -5
        return y

    assert aliasing_to_signal_db(with_ends, frequency=0.2) < -200


@pytest.mark.parametrize(
    "process, frequency, message",
    [
        (lambda x: x, 0.0, "frequency must lie between 0 and 0.5"),
        (lambda x: x, 0.5, "frequency must lie between 0 and 0.5"),
        (lambda x: x[:-1], 0.2, "samples for each of"),
        (lambda x: x + np.nan, 0.2, "NaN or infinite"),
        (lambda x: 0 * x, 0.2, "nothing at the sine's frequency"),
    ],
)
def test_what_cannot_be_measured_is_refused(process, frequency, message):
    with pytest.raises(ValueError, match=message):
        aliasing_to_signal_db(process, frequency=frequency)
