"""Requests joined to batches: which, when, and what becomes of those that cannot be computed."""

import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest

from tonezoo.serving.server.batching import Batcher, BatcherClosed, Work
from tonezoo.serving.server.errors import Code, RequestError


class Doubling:
    """A function that doubles x and refuses negative ones; keeps what it was called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, inputs):
        self.calls.append(inputs["x"][:, 0].tolist())
        if (inputs["x"] < 0).any():
            raise RequestError(Code.INVALID_ARGUMENT, "negative")
        return {"double": 2 * inputs["x"], "negated": -inputs["x"]}


def work(function, *values, key="key", samples=1, deadline=None):
    """A request of a signal per value, two samples each, all of that value."""
    inputs = {"x": np.repeat(np.array(values, float)[:, None], 2, axis=1)}
    return Work(
        function=function,
        inputs=inputs,
        key=key,
        signals=len(values),
        samples=samples,
        deadline=deadline,
    )


def compute(
    works,
    *,
    max_signals=8,
    max_samples=100,
    observe=lambda *_: None,
    before=lambda: None,
    waiting=None,
):
    """Computes requests that have all come, and `before` is done, before the first one's turn.

    Args:
        waiting: how many are left then; None for all.
    """
    batcher = Batcher(max_signals=max_signals, max_samples=max_samples, wait_s=0.0, observe=observe)
    begun, gate = threading.Event(), threading.Event()

    def block(inputs):
        begun.set()
        gate.wait()
        return inputs

    batcher.submit(work(block, 0, key=None))
    begun.wait()
    for each in works:
        batcher.submit(each)
    before()
    assert len(batcher) == (len(works) if waiting is None else waiting)
    gate.set()
    batcher.close()
    assert len(batcher) == 0


def test_equal_keys_are_computed_together_and_each_gets_its_own():
    double = Doubling()
    works = [work(double, 1), work(double, 2, 3), work(double, 4)]
    compute(works)
    assert double.calls == [[1, 2, 3, 4]]
    outputs = [each.future.result() for each in works]
    np.testing.assert_array_equal(outputs[1]["double"], [[4, 4], [6, 6]])
    np.testing.assert_array_equal(outputs[2]["negated"], [[-4, -4]])
    assert [len(each["double"]) for each in outputs] == [1, 2, 1]


def test_other_keys_and_none_are_computed_apart_the_oldest_first():
    double = Doubling()
    keys = ["a", "b", None, "a", None, "b"]
    compute([work(double, number, key=key) for number, key in enumerate(keys)])
    assert double.calls == [[0, 3], [1, 5], [2], [4]]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"max_signals": 3}, [[1, 2], [3, 4, 5], [6, 7, 8, 9]]),
        ({"max_signals": 4}, [[1, 2], [3, 4, 5], [6, 7, 8, 9]]),
        ({"max_signals": 5}, [[1, 2, 3, 4, 5], [6, 7, 8, 9]]),
        ({"max_samples": 21}, [[1, 2, 3, 4, 5], [6, 7, 8, 9]]),
        ({"max_samples": 9}, [[1, 2], [3, 4, 5], [6, 7, 8, 9]]),
        ({"max_signals": 1}, [[1, 2], [3, 4, 5], [6, 7, 8, 9]]),
    ],
)
def test_a_batch_keeps_to_the_limits_and_a_larger_request_is_computed_alone(limits, expected):
    double = Doubling()
    works = [work(double, 1, 2), work(double, 3, 4, 5), work(double, 6, 7, 8, 9)]
    works = [work(double, *each.inputs["x"][:, 0], samples=10) for each in works]
    compute(works, **limits)
    assert double.calls == expected


def test_only_the_request_that_cannot_be_computed_fails():
    double = Doubling()
    works = [work(double, 1), work(double, -2), work(double, 3)]
    compute(works)
    assert double.calls == [[1, -2, 3], [1], [-2], [3]]
    with pytest.raises(RequestError, match="negative"):
        works[1].future.result()
    assert works[2].future.result()["double"].tolist() == [[6, 6]]


def test_what_is_late_or_cancelled_is_not_computed():
    double = Doubling()
    works = [
        work(double, 1, deadline=time.monotonic() - 1),
        work(double, 2),
        work(double, 3, deadline=time.monotonic() + 60),
        work(double, 4),
    ]
    compute(works, before=works[1].future.cancel, waiting=3)
    assert double.calls == [[3, 4]]
    with pytest.raises(RequestError) as late:
        works[0].future.result()
    assert late.value.code is Code.DEADLINE_EXCEEDED
    with pytest.raises(CancelledError):
        works[1].future.result()


def test_what_is_cancelled_takes_no_room_while_the_model_is_at_work():
    double = Doubling()
    works = [work(double, value) for value in range(1, 6)]

    def cancel_some():
        for cancelled in (works[0], works[2], works[3]):
            cancelled.future.cancel()

    compute(works, max_signals=2, before=cancel_some, waiting=2)
    assert double.calls == [[2, 5]]


def test_the_oldest_that_is_cancelled_leaves_its_room_to_others():
    double = Doubling()
    batcher = Batcher(max_signals=3, max_samples=100, wait_s=30)
    works = [work(double, value) for value in range(1, 5)]
    batcher.submit(works[0])
    batcher.submit(works[1])
    works[0].future.cancel()
    batcher.submit(works[2])
    batcher.submit(works[3])
    assert works[3].future.result(timeout=10)["double"].tolist() == [[8, 8]]
    batcher.close()
    assert double.calls == [[2, 3, 4]]


def test_a_request_waits_for_others_until_the_batch_is_full():
    double = Doubling()
    batcher = Batcher(max_signals=2, max_samples=100, wait_s=30)
    first, second = work(double, 1), work(double, 2)
    batcher.submit(first)
    batcher.submit(second)
    assert second.future.result(timeout=10)["double"].tolist() == [[4, 4]]
    assert double.calls == [[1, 2]]
    batcher.close()


def test_a_request_that_stays_alone_waits_for_no_longer_than_it_should():
    double = Doubling()
    batcher = Batcher(max_signals=2, max_samples=100, wait_s=0.05)
    started = time.monotonic()
    alone, apart = work(double, 1), work(double, 2, key=None)
    batcher.submit(alone)
    alone.future.result(timeout=10)
    assert time.monotonic() - started >= 0.05
    batcher.submit(apart)
    apart.future.result(timeout=10)
    batcher.close()


def test_closing_ends_the_waiting_and_refuses_what_comes_later():
    double = Doubling()
    batcher = Batcher(max_signals=8, max_samples=100, wait_s=30)
    waiting = work(double, 1)
    batcher.submit(waiting)
    batcher.close()
    assert waiting.future.result(timeout=0)["double"].tolist() == [[2, 2]]
    with pytest.raises(BatcherClosed):
        batcher.submit(work(double, 2))


def test_batches_are_observed():
    double, seen = Doubling(), []
    compute(
        [work(double, 1), work(double, 2, 3)],
        observe=lambda signals, seconds: seen.append((signals, seconds)),
    )
    assert [signals for signals, _ in seen] == [1, 3] and all(s >= 0 for _, s in seen)
