"""What a training run computes on, on each backend of Keras."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Devices:
    """The devices of a run.

    Attributes:
        replicas: how many share the global batch.
        scope: gives the context in which networks and optimizers are made.
    """

    replicas: int
    scope: Callable[[], contextlib.AbstractContextManager]


def all_devices() -> Devices:
    """Returns what there is to train on.

    On TensorFlow all GPUs, or all logical CPUs where there is no GPU, by a MirroredStrategy. For a
    single CPU it is no strategy, which would keep the end of training waiting: the datasets that a
    strategy adds have threads that sleep for up to a minute. On JAX its first device.
    """
    if keras.backend.backend() != "tensorflow":
        return Devices(1, contextlib.nullcontext)
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if [device.device_type for device in devices] == ["CPU"]:
        strategy = tf.distribute.get_strategy()
    else:
        strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    return Devices(strategy.num_replicas_in_sync, strategy.scope)


@contextlib.contextmanager
def deterministic_operations(wanted: bool) -> Iterator[None]:
    """Makes TensorFlow's operations deterministic in the block alone, where that is wanted.

    JAX's are on a CPU; on a GPU XLA_FLAGS=--xla_gpu_deterministic_ops=true makes them so, before it
    is started.
    """
    if not wanted or keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    tf.config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        if not before:
            # TensorFlow has no public name for it.
            config.disable_op_determinism()
