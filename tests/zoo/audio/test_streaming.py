"""Weights and lengths of streams; windows are tested with the engines that cut by them."""

import numpy as np
import pytest

from tonezoo.audio.streaming import resampled_blocks, triangle, trim_or_pad


def test_triangle_is_symmetric_and_never_zero():
    for length in (1, 2, 5, 8):
        weights = triangle(length)
        np.testing.assert_array_equal(weights, weights[::-1])
        assert weights.max() == 1 and weights.min() > 0


@pytest.mark.parametrize("length", [0, 1, 5, 7, 12])
def test_streams_are_cut_or_continued_to_a_length(length):
    x = np.arange(14.0, dtype="float32").reshape(7, 2)
    blocks = list(trim_or_pad([x[:3], x[3:]], length, (2,)))
    joined = np.concatenate([np.zeros((0, 2)), *blocks])
    expected = np.zeros((length, 2))
    expected[: min(length, 7)] = x[:length]
    np.testing.assert_array_equal(joined, expected)


def test_a_stream_that_resampling_empties_is_continued_by_silence():
    one_sample = [np.full((1, 3), 0.5, "float32")]
    blocks = trim_or_pad(resampled_blocks(one_sample, 192_000, 44_100), 2, (3,))
    assert sum(map(len, blocks)) == 2
