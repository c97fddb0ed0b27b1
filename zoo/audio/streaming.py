"""Signals of any length, block by block: windows, weights, exact lengths, resampling, checks."""

import itertools
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")
Result = TypeVar("Result")

# Each chunk costs a call of the model and its context anew: below this a file would take hours.
MIN_SEGMENT_S = 0.01


def chunk_units(chunk_samples: int | None, unit_samples: int) -> int:
    """Returns how many units of so many samples a chunk has, rounded up.

    Of None, for all at once, they are more than any signal has: the chunk is never full, so that
    the model is called once, at the end.

    Raises:
        ValueError: a chunk below 1.

    Example:

    >>> chunk_units(500, 256)
    2
    """
    if chunk_samples is None:
        return sys.maxsize // unit_samples
    if chunk_samples < 1:
        raise ValueError(f"chunk_samples is {chunk_samples}. Give 1 or more, or None.")
    return -(-chunk_samples // unit_samples)


def windows(
    blocks: Iterable[np.ndarray], *, length: int, hop: int, context: int
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Cuts a signal of unknown length into windows with what surrounds them.

    Window k covers the samples from k * hop on, `length` of them or what is left; the last one is
    the first that reaches the end. No more than a window, its context and a block are held.

    Args:
        blocks: the signal, arrays of (time, channels).
        length: samples of a window.
        hop: from a window's start to the next one's, at most `length`.
        context: samples wanted on each side, fewer at the ends of the signal.

    Yields:
        (left + size + right, channels), left, size: the window is the `size` samples from `left`.

    Example:

    >>> signal = [np.arange(6.0)[:, None], np.arange(6.0, 8.0)[:, None]]
    >>> for window, left, size in windows(signal, length=4, hop=3, context=1):
    ...     print(window[:, 0], left, size)
    [0. 1. 2. 3. 4.] 0 4
    [2. 3. 4. 5. 6. 7.] 1 4
    [5. 6. 7.] 1 2
    """
    # `held` concatenates to the samples from position - left, where left is the context or all
    # there is, up to end.
    held, left, position, end = [], 0, 0, 0
    for block in itertools.chain(blocks, [None]):
        if block is not None:
            held.append(block)
            end += len(block)
            if end < position + length + context:
                continue
        elif end == 0:
            return
        window = np.concatenate(held)
        while position + length + context <= end or (
            # At the end, as long as the last window did not reach it.
            block is None and (position == 0 or position - hop + length < end)
        ):
            size = min(length, end - position)
            yield window[: left + size + context], left, size
            position += hop
            keep = max(0, left + hop - context)
            window, left = window[keep:], left + hop - keep
        held = [window]


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], at_once: int = 1
) -> Iterator[Result]:
    """Yields function(item) for each item, in order, computing several at once in threads.

    The items are taken in the caller's thread, no more than `at_once` before their turn. Where an
    item fails, or the caller stops, nothing new is begun.

    Args:
        function: called in several threads, unless `at_once` is 1.
        items: what it is called with.
        at_once: how many are computed at once; 1 for one after the other, without threads.

    Example:

    >>> list(map_ahead(abs, [-1, -2, 3], at_once=2))
    [1, 2, 3]
    """
    if at_once == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(at_once)
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) == at_once:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # Not waiting: what is under way may take long, and nobody wants it any more.
        pool.shutdown(wait=False, cancel_futures=True)


def check_finite(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields blocks (time, channels) as they are, as long as they hold no NaN and no infinity.

    Raises:
        ValueError: names the first sample that is not finite.
    """
    start = 0
    for block in blocks:
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"Sample {start + int(finite.argmin())} is NaN or infinite. Samples must be finite."
            )
        start += len(block)
        yield block


def resampled_blocks(
    blocks: Iterable[np.ndarray], from_hz: float, to_hz: float
) -> Iterator[np.ndarray]:
    """Yields blocks (time, channels) at another sample rate, however they are cut."""
    import soxr

    resampler = None
    for block in check_finite(blocks):
        if resampler is None:
            resampler = soxr.ResampleStream(from_hz, to_hz, block.shape[1], dtype="float32")
        yield resampler.resample_chunk(block)
    if resampler is not None:
        yield resampler.resample_chunk(block[:0], last=True)


def triangle(length: int) -> np.ndarray:
    """Returns the weights of a segment's samples: rising to 1 in its middle, falling again.

    Example:

    >>> triangle(5)
    array([0.33333334, 0.6666667 , 1.        , 0.6666667 , 0.33333334], dtype=float32)
    """
    rising = np.arange(1, length + 1)
    weights = np.minimum(rising, rising[::-1])
    return (weights / weights.max()).astype("float32")


def trim_or_pad(
    blocks: Iterable[np.ndarray], length: int, shape: tuple[int, ...]
) -> Iterator[np.ndarray]:
    """Yields blocks (time, *shape) cut, or continued by silence, to `length` samples in all.

    Example:

    >>> [block.tolist() for block in trim_or_pad([np.ones(2), np.ones(2)], 3, ())]
    [[1.0, 1.0], [1.0]]
    >>> [block.tolist() for block in trim_or_pad([], 2, ())]
    [[0.0, 0.0]]
    """
    done = 0
    for block in blocks:
        block = block[: length - done]
        done += len(block)
        if len(block):
            yield block
    if done < length:
        yield np.zeros((length - done, *shape), "float32")


def in_step(streams: list[Iterator[np.ndarray]]) -> Iterator[list[np.ndarray]]:
    """Yields parts of equal length of streams whose blocks are cut differently.

    Example:

    >>> streams = [iter([np.arange(3), np.arange(3, 5)]), iter([np.arange(5)])]
    >>> [[part.tolist() for part in parts] for parts in in_step(streams)]
    [[[0, 1, 2], [0, 1, 2]], [[3, 4], [3, 4]]]
    """
    held = [np.zeros(0)] * len(streams)
    while True:
        for index, stream in enumerate(streams):
            while not len(held[index]):
                block = next(stream, None)
                if block is None:
                    return
                held[index] = block
        size = min(map(len, held))
        yield [block[:size] for block in held]
        held = [block[size:] for block in held]
