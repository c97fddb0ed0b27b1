"""PhaseShuffle1D shifts by -radius ... radius, by reflection, in training only."""

import numpy as np
import pytest
from keras import ops

from tonezoo.layers import PhaseShuffle1D


def shifted(x, phi):
    """y[t] = x[t - phi] for x (time,), the ends reflected without repeating the last sample."""
    return np.pad(x, abs(phi), mode="reflect")[abs(phi) - phi :][: len(x)]


def shifts_found(x, y, radius):
    """Returns the shift of every example and channel; fails unless each is exactly one shift."""
    found = np.zeros((len(x), x.shape[-1]), int)
    for b, c in np.ndindex(found.shape):
        equal = [
            phi
            for phi in range(-radius, radius + 1)
            if np.array_equal(shifted(x[b, :, c], phi), y[b, :, c])
        ]
        assert len(equal) == 1
        found[b, c] = equal[0]
    return found


@pytest.mark.parametrize("per", ["batch", "example", "channel"])
def test_shifts_are_reflected_and_drawn_per_what_is_said(per):
    x = np.random.default_rng(0).standard_normal((12, 9, 8)).astype("float32")
    layer = PhaseShuffle1D(2, per, seed=1)
    calls = np.stack(
        [
            shifts_found(x, ops.convert_to_numpy(layer(x, training=True)), 2)
            for _ in range(1 if per == "channel" else 20)
        ]
    )
    assert set(np.unique(calls)) == {-2, -1, 0, 1, 2}
    assert np.all(calls == calls[:, :, :1]) == (per != "channel")
    assert np.all(calls == calls[:, :1]) == (per == "batch")


def test_hand_computed_shifts():
    np.testing.assert_array_equal(shifted(np.arange(5), 2), [2, 1, 0, 1, 2])
    np.testing.assert_array_equal(shifted(np.arange(5), -1), [1, 2, 3, 4, 3])


@pytest.mark.parametrize("per", ["batch", "example", "channel"])
def test_inference_is_the_identity(per):
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
    np.testing.assert_array_equal(ops.convert_to_numpy(PhaseShuffle1D(2, per)(x)), x)


@pytest.mark.parametrize("time", [1, 2, 3])
def test_signals_shorter_than_the_radius_are_reflected_again_and_again(time):
    x = np.arange(1.0, time + 1, dtype="float32").reshape(1, time, 1)
    y = ops.convert_to_numpy(PhaseShuffle1D(5, seed=1)(x, training=True))
    assert y.shape == x.shape
    cycle = np.pad(x[0, :, 0], 5, mode="reflect")
    assert any(np.array_equal(y[0, :, 0], cycle[i : i + time]) for i in range(11))


def test_a_seed_repeats_the_shifts():
    x = np.random.default_rng(0).standard_normal((6, 9, 1)).astype("float32")
    first, second, other = (
        ops.convert_to_numpy(PhaseShuffle1D(2, "example", seed=s)(x, training=True))
        for s in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"radius": -1}, "radius must be an integer of at least 0. Received: radius=-1"),
        ({"per": "sample"}, "'batch', 'example', 'channel'. Received: per='sample'"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PhaseShuffle1D(**arguments)
