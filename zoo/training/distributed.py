"""Training on several machines, by tf.distribute.MultiWorkerMirroredStrategy.

Keras's own `fit` fails there: it takes a batch of several machines for one tensor, and reduces its
logs over an axis that they do not have. The datasets that the strategy makes have threads that
would, besides, keep each epoch waiting for up to a minute.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras


def fit(
    trainer,
    batches,
    *,
    steps_per_epoch: int,
    initial_epoch: int,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    validation=None,
    validation_steps: int = 0,
) -> None:
    """Trains a Keras model on this worker and all others, which have to call it alike.

    It does what `trainer.fit` does on one machine: the same callbacks at the same points with the
    same logs, which are means over the replicas of all workers.

    Args:
        trainer: compiled and built in the scope of the strategy, as are its optimizers.
        batches: `tf.data.Dataset` of the batches of this worker's replicas, one after the other,
            equally large on all workers.
        steps_per_epoch: steps of an epoch.
        initial_epoch: number of the first epoch, from 0.
        epochs: number of the epoch to stop before.
        callbacks: Keras callbacks.
        validation: as `batches`, for the validation after each epoch; None without one.
        validation_steps: steps of a validation.

    Source: https://www.tensorflow.org/tutorials/distribute/multi_worker_with_ctl
    """
    if trainer.train_function is None:
        trainer.train_function = _distributed(trainer.train_step)
        trainer.test_function = _distributed(trainer.test_step)
    calls = keras.callbacks.CallbackList(list(callbacks), model=trainer)
    trainer.stop_training = False
    calls.on_train_begin()
    iterator = iter(batches)
    logs: dict[str, Any] = {}
    for epoch in range(initial_epoch, epochs):
        trainer.reset_metrics()
        calls.on_epoch_begin(epoch)
        for step in range(steps_per_epoch):
            calls.on_train_batch_begin(step)
            logs = trainer.train_function(iterator)
            calls.on_train_batch_end(step, logs)
            if trainer.stop_training:
                break
        if validation is not None:
            logs = {**logs, **_validate(trainer, validation, validation_steps)}
        calls.on_epoch_end(epoch, logs)
        if trainer.stop_training:
            break
    calls.on_train_end(logs)


def _validate(trainer, batches, steps: int) -> dict[str, Any]:
    """Returns the logs of a validation, by the names that Keras gives them."""
    trainer.reset_metrics()
    iterator = iter(batches)
    logs: dict[str, Any] = {}
    for _ in range(steps):
        logs = trainer.test_function(iterator)
    return {f"val_{name}": value for name, value in logs.items()}


def _distributed(step: Callable) -> Callable[[Iterator], dict[str, Any]]:
    """Returns what takes a step on all replicas: from an iterator to the means of their logs."""
    import tensorflow as tf

    strategy = tf.distribute.get_strategy()
    names: list[str] = []

    def replica_step(data):
        logs = step(data)
        names[:] = logs
        return tf.stack([tf.cast(value, tf.float32) for value in logs.values()])

    @tf.function(reduce_retracing=True)
    def global_step(data):
        # All figures at once: each exchange between machines takes its time.
        return strategy.reduce("MEAN", strategy.run(replica_step, args=(data,)), axis=None)

    def function(iterator):
        data = strategy.experimental_distribute_values_from_function(lambda _: next(iterator))
        return dict(zip(names, global_step(data).numpy(), strict=True))

    return function
