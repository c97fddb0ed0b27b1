"""Weights and lengths of streams; windows are tested with the engines that cut by them."""

import itertools
import threading
import time

import numpy as np
import pytest

from tonezoo.audio.streaming import map_ahead, resampled_blocks, triangle, trim_or_pad


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


@pytest.mark.parametrize("at_once", [1, 3])
def test_map_ahead_keeps_the_order_and_takes_no_more_than_it_computes(at_once):
    taken = []
    # Passed only when so many are computed at once.
    together = threading.Barrier(at_once, timeout=30)

    def items():
        for item in range(9):
            taken.append(item)
            yield item

    def slow_at_first(item):
        together.wait()
        time.sleep(0.02 if item % at_once == 0 else 0)
        return -item

    for done, result in enumerate(map_ahead(slow_at_first, items(), at_once)):
        assert result == -done
        assert len(taken) <= done + at_once
    assert done == 8


def test_map_ahead_begins_nothing_after_an_error_or_a_close():
    begun = []

    def fail_at_two(item):
        begun.append(item)
        if item == 2:
            raise ValueError("two")
        return item

    results = map_ahead(fail_at_two, itertools.count(), at_once=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)
    assert max(begun) <= 3

    waiting = threading.Event()
    results = map_ahead(lambda item: item and waiting.wait(10), itertools.count(), at_once=2)
    assert next(results) == 0
    start = time.monotonic()
    results.close()
    assert time.monotonic() - start < 5
    waiting.set()
