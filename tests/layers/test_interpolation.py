"""Interpolate1D and its taps against hand-computed numbers, NumPy and SciPy."""

import numpy as np
import pytest
from interpolation_reference import METHOD_GRIDS, interpolate
from keras import ops
from scipy.interpolate import CubicSpline

from tonezoo.audio.interpolation import interpolation_taps, spline_prefilter
from tonezoo.layers import Interpolate1D


def run(x, factor, method, grid=None, dtype="float64"):
    layer = Interpolate1D(factor, method, grid, dtype=dtype)
    return ops.convert_to_numpy(layer(np.asarray(x, dtype)[None, :, None]))[0, :, 0]


@pytest.mark.parametrize(
    "method, grid, factor, expected",
    [
        ("nearest", "half_pixel", 3, [1, 1, 1, 5, 5, 5, 3, 3, 3]),
        # Position 1/2 is a tie and goes to the earlier sample; 3/4 is nearer to the later one.
        ("nearest", "aligned", 4, [1, 1, 1, 5, 5, 5, 5, 3, 3, 3, 3, 3]),
        ("nearest", "aligned", 2, [1, 1, 5, 5, 3, 3]),
        ("linear", "half_pixel", 2, [1, 2, 4, 4.5, 3.5, 3]),
        ("linear", "half_pixel", 4, [1, 1, 1.5, 2.5, 3.5, 4.5, 4.75, 4.25, 3.75, 3.25, 3, 3]),
        ("linear", "aligned", 4, [1, 2, 3, 4, 5, 4.5, 4, 3.5, 3, 3, 3, 3]),
        ("stretch", "aligned", 3, [1, 0, 0, 5, 0, 0, 3, 0, 0]),
        ("learned", "aligned", 4, [1, 2, 3, 4, 5, 4.5, 4, 3.5, 3, 3, 3, 3]),
    ],
)
def test_hand_computed_outputs(method, grid, factor, expected):
    np.testing.assert_allclose(run([1, 5, 3], factor, method, grid), expected, atol=1e-12)


def test_default_grids():
    grids = {method: Interpolate1D(2, method).grid for method, _ in METHOD_GRIDS}
    assert grids == {
        "nearest": "half_pixel",
        "linear": "half_pixel",
        "cubic": "aligned",
        "sinc": "aligned",
        "kaiser": "half_pixel",
        "stretch": "aligned",
        "learned": "aligned",
    }


@pytest.mark.parametrize("method, grid", METHOD_GRIDS)
@pytest.mark.parametrize("factor, time", [(1, 3), (2, 1), (3, 2), (4, 21), (7, 5)])
def test_every_method_against_its_definition(method, grid, factor, time):
    x = np.random.default_rng(time).standard_normal(time)
    expected = interpolate(x, factor, method, grid)
    actual = run(x, factor, method, grid)
    assert actual.shape == (time * factor,)
    # The layer's prefilter leaves out what is below 1e-9.
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-7 if method == "cubic" else 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("grid, shift", [("aligned", 0.0), ("half_pixel", 0.5)])
def test_cubic_equals_scipys_spline_away_from_the_borders(dtype, grid, shift):
    x = np.random.default_rng(0).uniform(-1, 1, 80)
    position = (np.arange(80 * 4) + shift) / 4 - shift
    inside = slice(20 * 4, -20 * 4)
    expected = CubicSpline(np.arange(80), x)(position)
    assert abs(run(x, 4, "cubic", grid, dtype) - expected)[inside].max() < 1e-6


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "sinc", "kaiser", "learned"])
def test_a_constant_stays_the_same_constant_up_to_the_ends(method):
    np.testing.assert_allclose(run(np.full(3, 0.7), 5, method), 0.7, rtol=0, atol=1e-15)


@pytest.mark.parametrize("method", [method for method, grid in METHOD_GRIDS if grid == "aligned"])
def test_the_aligned_grid_keeps_the_input_samples(method):
    x = np.random.default_rng(0).standard_normal(40)
    kept = run(x, 3, method, "aligned")[::3]
    np.testing.assert_allclose(kept, x, rtol=0, atol=1e-8 if method == "cubic" else 1e-15)


def test_the_prefilter_inverts_the_sampled_b_spline():
    taps = spline_prefilter()
    identity = np.convolve(taps, [1 / 6, 4 / 6, 1 / 6])
    expected = np.zeros(len(identity))
    expected[len(identity) // 2] = 1
    np.testing.assert_allclose(identity, expected, rtol=0, atol=1e-9)
    assert abs(taps.sum() - 1) < 1e-15
    assert 1e-9 < abs(taps[0]) < 1e-9 / (2 - np.sqrt(3))  # one tap more would be below 1e-9


def test_every_phase_of_the_sinc_has_unit_gain_and_eight_zero_crossings_a_side():
    taps, offset = interpolation_taps("sinc", 4)
    np.testing.assert_allclose(taps.sum(axis=1), 1, rtol=0, atol=1e-15)
    np.testing.assert_array_equal(taps[0], np.arange(offset, offset + taps.shape[1]) == 0)
    assert offset == -7 and taps.shape == (4, 16)


def test_learned_weights_start_as_linear_and_act_per_channel():
    layer = Interpolate1D(4, "learned", dtype="float64")
    x = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])[None]
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x))[0, :4, 1], [0, 0.25, 0.5, 0.75])
    assert layer.logits.shape == (3, 2)
    # sigmoid(log 3) = 3/4 is the share of the earlier sample.
    layer.logits.assign([[np.log(3), 0], [0, 0], [0, 0]])
    actual = ops.convert_to_numpy(layer(x))[0, :4]
    np.testing.assert_allclose(actual, [[0, 0], [0.25, 0.5], [0.5, 0.5], [0.5, 0.5]], atol=1e-15)


@pytest.mark.parametrize("method, grid", METHOD_GRIDS)
def test_context_is_what_an_output_depends_on_and_no_more(method, grid):
    time, factor, middle = 51, 3, 25
    layer = Interpolate1D(factor, method, grid, dtype="float64")
    impulses = np.eye(time)[:, :, None]  # one example per position of the impulse
    y = ops.convert_to_numpy(layer(impulses))[:, middle * factor : (middle + 1) * factor, 0]
    used = np.flatnonzero(abs(y).max(axis=1)) - middle
    assert layer.context == (-used[0], used[-1])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"factor": 0}, "factor must be an integer of at least 1. Received: factor=0"),
        ({"factor": 2.0}, "factor must be an integer of at least 1. Received: factor=2.0"),
        ({"factor": 2, "method": "lanczos"}, "'nearest', 'linear', 'cubic'.*method='lanczos'"),
        ({"factor": 2, "grid": "centred"}, "'half_pixel', 'aligned'.*grid='centred'"),
        ({"factor": 2, "method": "stretch", "grid": "half_pixel"}, "aligned grid only"),
        ({"factor": 2, "method": "learned", "grid": "half_pixel"}, "aligned grid only"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Interpolate1D(**arguments)
