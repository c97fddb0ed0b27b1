"""Requests of equal shape, computed together."""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future

import numpy as np

from tonezoo.serving.server.errors import Code, RequestError

Arrays = Mapping[str, np.ndarray]


class BatcherClosed(Exception):
    """The model version of a batcher is no longer served."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Work:
    """A request to be computed.

    Attributes:
        function: what computes it; called with `inputs`.
        inputs: arrays, if it is to be joined with others all of (batch, ...).
        key: equal for requests that may be joined; None for one that is computed alone.
        signals: size of the batch axis.
        samples: time steps of all signals together.
        deadline: on the clock of `time.monotonic`, or None. A request that is not begun by then is
            not computed.
        future: receives the outputs, or a `RequestError`.
        arrived: when it was made, on the same clock.
    """

    function: Callable[[Arrays], Arrays]
    inputs: Arrays
    key: Hashable = None
    signals: int = 1
    samples: int = 1
    deadline: float | None = None
    future: "Future[Arrays]" = dataclasses.field(default_factory=Future)
    arrived: float = dataclasses.field(default_factory=time.monotonic)


class Batcher:
    """Computes requests in a thread of its own, those of equal key together.

    The oldest request is always in the next batch. It waits for others, `wait_s` at most from when
    it came, while the batch has room; requests that come during a computation wait for no longer
    than that takes. If a batch fails, its requests are computed one by one, so that only those fail
    that cannot be computed. A request whose future is cancelled is let go at once.

    Args:
        max_signals: most signals of a batch of several requests; a single request may have more.
        max_samples: most time steps of such a batch.
        wait_s: see above.
        observe: receives the number of signals of each batch and the seconds that it took.

    Example:

    >>> batcher = Batcher(max_signals=8, max_samples=100, wait_s=1.0)
    >>> def double(inputs):
    ...     return {"y": 2 * inputs["x"]}
    >>> works = [
    ...     Work(function=double, inputs={"x": np.full((1, 3), i)}, key="x", samples=3)
    ...     for i in range(2)
    ... ]
    >>> for work in works:
    ...     batcher.submit(work)
    >>> batcher.close()
    >>> works[1].future.result()["y"]
    array([[2, 2, 2]])
    """

    def __init__(
        self,
        *,
        max_signals: int,
        max_samples: int,
        wait_s: float,
        observe: Callable[[int, float], None] = lambda signals, seconds: None,
    ):
        self._max_signals, self._max_samples, self._wait_s = max_signals, max_samples, wait_s
        self._observe = observe
        self._waiting: collections.deque[Work] = collections.deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._compute_all, name="batcher", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """The number of requests that wait."""
        return len(self._waiting)

    def submit(self, work: Work) -> None:
        """Adds a request.

        Raises:
            BatcherClosed: after `close`.
        """
        with self._changed:
            if self._closed:
                raise BatcherClosed
            self._waiting.append(work)
            self._changed.notify()
        work.future.add_done_callback(self._let_go)

    def _let_go(self, future: Future) -> None:
        """Takes a request that was cancelled, with its arrays, out of those that wait."""
        if future.cancelled():
            with self._changed:
                self._waiting = collections.deque(
                    w for w in self._waiting if w.future is not future
                )

    def close(self) -> None:
        """Refuses further requests and returns when those that wait are computed."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _compute_all(self):
        while batch := self._next_batch():
            self._compute(batch)

    def _next_batch(self) -> list[Work]:
        """Returns the next batch when there is one; nothing after `close`."""
        with self._changed:
            while True:
                if self._waiting:
                    # Anew each time: the oldest may have been cancelled meanwhile.
                    oldest = self._waiting[0]
                    batch, has_room = self._mates(oldest)
                    left = oldest.arrived + self._wait_s - time.monotonic()
                    if not has_room or self._closed or left <= 0:
                        break
                    self._changed.wait(left)
                elif self._closed:
                    return []
                else:
                    self._changed.wait()
            taken = set(batch)
            self._waiting = collections.deque(w for w in self._waiting if w not in taken)
            return batch

    def _mates(self, oldest: Work) -> tuple[list[Work], bool]:
        """Returns what is computed together with the oldest request, and whether more could be."""
        batch, signals, samples = [oldest], oldest.signals, oldest.samples
        if oldest.key is None:
            return batch, False
        for work in self._waiting:
            if work is oldest or work.key != oldest.key:
                continue
            signals, samples = signals + work.signals, samples + work.samples
            if signals > self._max_signals or samples > self._max_samples:
                return batch, False
            batch.append(work)
        # A further request like the oldest has to fit.
        fits = signals + oldest.signals <= self._max_signals
        return batch, fits and samples + oldest.samples <= self._max_samples

    def _compute(self, batch: list[Work]) -> None:
        begun = [work for work in batch if begin(work)]
        if len(begun) > 1:
            try:
                self._compute_together(begun)
                return
            # Whatever it is, it is told to those who caused it, below.
            except Exception:
                pass
        for work in begun:
            try:
                self._compute_together([work])
            except Exception as error:
                work.future.set_exception(error)

    def _compute_together(self, batch: list[Work]) -> None:
        started = time.perf_counter()
        first = batch[0]
        if len(batch) == 1:
            first.future.set_result(first.function(first.inputs))
        else:
            joined = {
                name: np.concatenate([work.inputs[name] for work in batch]) for name in first.inputs
            }
            outputs = first.function(joined)
            ends = np.cumsum([work.signals for work in batch])
            parts = {name: np.split(output, ends[:-1]) for name, output in outputs.items()}
            for index, work in enumerate(batch):
                work.future.set_result({name: part[index] for name, part in parts.items()})
        self._observe(sum(work.signals for work in batch), time.perf_counter() - started)


def begin(work: Work) -> bool:
    """Tells whether a request is still to be computed: not cancelled, and in time."""
    if not work.future.set_running_or_notify_cancel():
        return False
    if work.deadline is None or time.monotonic() < work.deadline:
        return True
    work.future.set_exception(
        RequestError(Code.DEADLINE_EXCEEDED, "The deadline passed before the request's turn came.")
    )
    return False
