"""The level of a signal, block by block and in a graph."""

import numpy as np
import pytest

from tonezoo.audio.levels import batch_levels, measure

SIGNALS = {
    "noise": np.random.default_rng(0).standard_normal((999, 2)) + 0.3,
    "channels that cancel out": np.random.default_rng(1).standard_normal((999, 1)) * [1, -1],
    "constant": np.full((50, 2), 0.25),
    "silence": np.zeros((50, 2)),
}


def test_level_is_that_of_the_whole_mono_mix_however_it_is_cut():
    x = SIGNALS["noise"]
    length, channels, level = measure([x[:300], x[300:]])
    mono = x.mean(axis=1)
    assert (length, channels) == (999, 2)
    assert level.mean == pytest.approx(mono.mean(), rel=1e-9)
    assert level.std == pytest.approx(mono.std(), rel=1e-9)


def test_channels_that_cancel_out_have_the_level_of_all_of_them():
    x = SIGNALS["channels that cancel out"]
    assert measure([x])[2].std == pytest.approx(np.sqrt((x**2).mean()), rel=1e-9)


@pytest.mark.parametrize("name", SIGNALS)
def test_the_graph_has_the_levels_of_the_blocks(name):
    x = SIGNALS[name].astype("float32")
    level = measure([x])[2]
    # In a batch, beside another signal.
    mean, std = batch_levels(np.stack([x, np.roll(3 * x, 7, axis=0)]))
    assert mean.shape == std.shape == (2, 1, 1)
    assert float(mean[0, 0, 0]) == pytest.approx(level.mean, abs=1e-6)
    assert float(std[0, 0, 0]) == pytest.approx(level.std, abs=1e-6)
    assert float(std[1, 0, 0]) == pytest.approx(3 * level.std, abs=3e-6)


@pytest.mark.parametrize("name", SIGNALS)
def test_restoring_undoes_normalising(name):
    x = SIGNALS[name].astype("float32")
    level = measure([x])[2]
    normalised = level.normalise(x)
    assert normalised.dtype == "float32" and np.isfinite(normalised).all()
    if level.std:
        np.testing.assert_allclose(level.restore(normalised), x, atol=1e-6)
    else:
        # Silence has no deviation: whatever is made of it comes back as its mean.
        np.testing.assert_array_equal(level.restore(normalised), np.full_like(x, level.mean))


def test_no_samples_are_refused():
    with pytest.raises(ValueError, match="0 samples"):
        measure([np.zeros((0, 2))])
