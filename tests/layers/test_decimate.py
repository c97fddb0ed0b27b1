"""Decimate1D: hand-checked lengths, its definition in NumPy, its reach, and what folds back."""

import numpy as np
import pytest
from signals import noise

from tonezoo.audio.interpolation import GRIDS, kaiser_low_pass
from tonezoo.layers import Decimate1D, Interpolate1D


def run(x, factor, grid="half_pixel"):
    return np.array(Decimate1D(factor, grid, dtype="float64")(x[None, :, None]))[0, :, 0]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("factor, time", [(1, 3), (2, 1), (2, 7), (3, 12), (4, 13), (5, 2)])
def test_against_its_definition(factor, time, grid):
    x = noise(time, std=1.0).astype("float64")
    taps = kaiser_low_pass(factor, grid)
    held = np.pad(x, 100, mode="edge")
    expected = []
    for n in range(-(-time // factor)):
        middle = n * factor + ((factor - 1) / 2 if grid == "half_pixel" else 0)
        first = middle - (len(taps) - 1) / 2
        assert first == int(first)
        expected.append(held[100 + int(first) :][: len(taps)] @ taps)
    np.testing.assert_allclose(run(x, factor, grid), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_context_is_what_an_output_depends_on_and_no_more(factor, grid):
    layer = Decimate1D(factor, grid, dtype="float64")
    y = np.array(layer(np.eye(20 * factor)[:, :, None]))[:, 10, 0]
    used = np.flatnonzero(y) - 10 * factor
    assert layer.context == (-used[0], used[-1])


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_it_undoes_the_interpolation_in_the_lower_band_and_removes_the_upper(factor):
    time = np.arange(400)
    low = np.cos(2 * np.pi * 0.1 * time)
    for grid in GRIDS:
        high = Interpolate1D(factor, "kaiser", grid, dtype="float64")(low[None, :, None])
        error = run(np.ravel(high), factor, grid) - low
        assert abs(error[20:-20]).max() < 0.01
        # Above the transition, which ends at 1.1 of the low rate.
        fast = np.cos(2 * np.pi * 1.15 / factor * np.arange(400 * factor))
        if factor > 2:
            assert abs(run(fast, factor, grid)[20:-20]).max() < 0.003


@pytest.mark.parametrize("arguments", [{"factor": 0}, {"factor": 2, "grid": "centred"}])
def test_bad_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r"factor must be|grid must be one of 'half_pixel'"):
        Decimate1D(**arguments)
