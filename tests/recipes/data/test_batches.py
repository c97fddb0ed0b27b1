"""Batches of one stateless draw: the same on both backends, from any number on."""

import itertools

import keras
import numpy as np
import pytest

from tonezoo.recipes.data.batches import stateless_batches
from tonezoo.recipes.data.threaded import ThreadedBatches


def draw(step):
    rng = np.random.default_rng((5, int(step)))
    return rng.random((2, 3), "float32"), rng.random((2, 1), "float32")


def batches(monkeypatch, backend, start):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    return stateless_batches(draw, ((2, 3), (2, 1)), start)


@pytest.mark.parametrize("start", [0, 7])
def test_both_backends_get_the_same_batches(monkeypatch, start):
    made = {name: batches(monkeypatch, name, start) for name in ("tensorflow", "jax")}
    assert isinstance(made["jax"], ThreadedBatches)
    for step, pair in enumerate(itertools.islice(zip(*made.values(), strict=False), 10), start):
        for one, other, expected in zip(*pair, draw(step), strict=True):
            np.testing.assert_array_equal(one, expected)
            np.testing.assert_array_equal(other, expected)


def test_map_changes_both_alike(monkeypatch):
    for backend in ("tensorflow", "jax"):
        changed = batches(monkeypatch, backend, 3).map(lambda x, y: (y, x))
        for got, expected in zip(next(iter(changed)), draw(3)[::-1], strict=True):
            np.testing.assert_array_equal(got, expected)


def test_threads_draw_ahead_and_begin_anew_at_the_first_batch():
    drawn = []
    made = ThreadedBatches(lambda step: (drawn.append(step), np.array([step]))[1:], 4, ahead=2)
    assert made.num_batches is None
    assert [int(batch[0][0]) for batch in itertools.islice(made, 3)] == [4, 5, 6]
    # Keras looks at a batch to build a loss, and begins anew.
    assert [int(batch[0][0]) for batch in itertools.islice(made, 3)] == [4, 5, 6]
    made.threads.shutdown()
    assert set(drawn) == {4, 5, 6, 7, 8}


def test_a_batch_that_cannot_be_drawn_says_why():
    def fail(step):
        raise ValueError(f"no batch {step}")

    with pytest.raises(ValueError, match="no batch 4"):
        ThreadedBatches(fail, 4, ahead=1)[0]
