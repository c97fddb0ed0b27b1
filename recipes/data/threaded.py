"""Endless batches drawn by threads, for backends of Keras that need no TensorFlow."""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import keras
import numpy as np


class ThreadedBatches(keras.utils.PyDataset):
    """Batch k is draw(start_step + k), some of them drawn ahead.

    Keras's own workers cannot be used: they go on where they were, not at the first batch, when
    Keras begins anew after it has looked at one.

    Args:
        draw: from the number of a batch to its arrays.
        start_step: the number of the first batch.
        ahead: batches that are drawn before they are asked for.

    Example:

    >>> batches = ThreadedBatches(lambda step: (np.full(2, step),), 7, ahead=1)
    >>> batches.map(lambda x: (x, -x))[1]
    (array([8, 8]), array([-8, -8]))
    """

    def __init__(self, draw: Callable[[int], tuple[np.ndarray, ...]], start_step: int, ahead: int):
        super().__init__()
        self.draw = draw
        self.start_step = start_step
        self.ahead = ahead
        self.drawn: dict[int, Future] = {}
        self.threads = ThreadPoolExecutor(os.cpu_count())

    @property
    def num_batches(self) -> None:
        """None: there is no end."""
        return None

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        for number in range(index, index + self.ahead + 1):
            if number not in self.drawn:
                self.drawn[number] = self.threads.submit(self.draw, self.start_step + number)
        return self.drawn.pop(index).result()

    def map(self, function: Callable[..., tuple[np.ndarray, ...]]) -> "ThreadedBatches":
        """Returns the batches that a function makes of the arrays of these."""
        return ThreadedBatches(
            lambda step: function(*self.draw(step)), self.start_step, ahead=self.ahead
        )
