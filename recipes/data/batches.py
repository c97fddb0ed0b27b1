"""Endless batches, each a function of its number alone: `tf.data`, or threads where JAX trains."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Union

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

    from tonezoo.recipes.data.threaded import ThreadedBatches

PREFETCHED = 4
Batches = Union["tf.data.Dataset", "ThreadedBatches"]


def stateless_batches(
    draw: Callable[[int], tuple[np.ndarray, ...]],
    shapes: tuple[tuple[int, ...], ...],
    start_step: int,
) -> Batches:
    """Returns endless batches, of which batch k is draw(start_step + k), drawn in parallel.

    Args:
        draw: from the number of a batch to its float32 arrays.
        shapes: shapes of these.
        start_step: the number of the first batch.

    Returns:
        What `fit` takes and `map` changes: a `tf.data.Dataset` on the TensorFlow backend of Keras,
        `ThreadedBatches` on another.

    Example:

    >>> batches = stateless_batches(lambda step: (np.full(2, step, "float32"),), ((2,),), 7)
    >>> next(iter(batches))[0].numpy().tolist()
    [7.0, 7.0]
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        from tonezoo.recipes.data.threaded import ThreadedBatches

        return ThreadedBatches(draw, start_step, ahead=PREFETCHED)
    import tensorflow as tf

    def load(step):
        # Stateless, or deterministic mode would draw one batch at a time.
        arrays = tf.numpy_function(draw, [step], len(shapes) * [tf.float32], stateful=False)
        return tuple(map(tf.ensure_shape, arrays, shapes))

    parallel = os.cpu_count() or 1
    steps = tf.data.Dataset.counter(start_step)
    dataset = steps.map(load, num_parallel_calls=parallel, deterministic=True)
    return dataset.prefetch(PREFETCHED).with_options(quiet_options())


def quiet_options() -> "tf.data.Options":
    """Returns options of a `tf.data.Dataset` that is in order and leaves no thread behind."""
    import tensorflow as tf

    options = tf.data.Options()
    # Its thread would keep the end of training waiting for up to a minute.
    options.autotune.enabled = False
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return options
