"""What a training run computes on, on each backend of Keras."""

import contextlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tonezoo.recipes.cluster import VARIABLE, Cluster, read_cluster
from tonezoo.recipes.data.batches import quiet_options


@dataclass(frozen=True)
class Devices:
    """The devices of a run, all in this process.

    Attributes:
        replicas: how many share the global batch.
        scope: gives the context in which networks and optimizers are made and trained.
    """

    replicas: int
    scope: Callable[[], contextlib.AbstractContextManager]

    @property
    def writes(self) -> bool:
        """Whether this process writes the run's folder."""
        return True

    def fit(
        self,
        model,
        batches,
        arrays: tuple[np.ndarray, ...] | None,
        batch_size: int,
        **options,
    ) -> None:
        """Calls a compiled model's `fit`.

        Args:
            model: Keras model.
            batches: endless global batches.
            arrays: to validate on, whole batches of a replica; None without validation.
            batch_size: of a global batch.
            **options: of `fit`: steps_per_epoch, initial_epoch, epochs and callbacks.
        """
        model.fit(
            batches,
            validation_data=arrays,
            validation_batch_size=batch_size,
            shuffle=False,
            verbose=0,
            **options,
        )

    def any(self, flag: bool) -> bool:
        """Tells whether a flag is set in any process of the run, which all have to ask."""
        return flag

    def check_same(self, facts: Mapping[str, Any]) -> None:
        """Checks that all processes of the run, which all have to call it, know the same facts.

        Raises:
            ValueError: names the facts that differ.
        """


ONE_DEVICE = Devices(1, contextlib.nullcontext)


@dataclass(frozen=True)
class Workers(Devices):
    """The devices of several processes, as a rule one per machine, that train together.

    They take the same steps: what one of them asks for here, all have to ask for.

    Attributes:
        cluster: the processes.
        strategy: the MultiWorkerMirroredStrategy that connects them.
    """

    cluster: Cluster
    strategy: Any

    @property
    def writes(self) -> bool:
        return self.cluster.is_chief

    def fit(self, model, batches, arrays, batch_size: int, **options) -> None:
        """Does the same by `tonezoo.training.distributed.fit`.

        Each worker takes its share of a global batch, in their order, but validates on all of the
        arrays: the last batch could not be shared evenly.
        """
        from tonezoo.training import distributed

        replica_batch = batch_size // self.replicas
        validation, steps = None, 0
        if arrays is not None:
            validation = self._copies(arrays, replica_batch)
            steps = len(arrays[0]) // replica_batch
        distributed.fit(
            model,
            self._shares(batches, batch_size).rebatch(replica_batch, drop_remainder=True),
            validation=validation,
            validation_steps=steps,
            **options,
        )

    def _shares(self, batches, batch_size: int):
        """Returns this worker's part of each batch."""
        size = batch_size // len(self.cluster.addresses)
        start = self.cluster.index * size
        return batches.map(lambda *arrays: tuple(a[start : start + size] for a in arrays))

    def _copies(self, arrays: tuple[np.ndarray, ...], batch_size: int):
        """Returns the batches of arrays, each of them once per replica of this process."""
        import tensorflow as tf

        batches = (array.reshape(-1, batch_size, *array.shape[1:]) for array in arrays)
        copies = tuple(np.repeat(array, self.local_replicas, axis=0) for array in batches)
        return tf.data.Dataset.from_tensor_slices(copies).with_options(quiet_options())

    @property
    def local_replicas(self) -> int:
        """How many of the replicas are in this process."""
        return self.replicas // len(self.cluster.addresses)

    def any(self, flag: bool) -> bool:
        return bool(self._rows([flag]).any())

    def check_same(self, facts: Mapping[str, Any]) -> None:
        rows = self._rows([zlib.crc32(repr(fact).encode()) for fact in facts.values()])
        differ = [
            name
            for name, column in zip(facts, rows.T, strict=True)
            if len(set(column.tolist())) > 1
        ]
        if differ:
            raise ValueError(
                f"The workers do not train the same run: they differ in {' and '.join(differ)}. "
                "Start all with the same command, data and version, and with a --run folder that "
                "all of them see, on a shared file system."
            )

    def _rows(self, row: Sequence[int]) -> np.ndarray:
        """Returns the rows of numbers that all workers give, in their order."""
        import tensorflow as tf

        # Each adds its own row to zeros: sums are what a strategy has for plain numbers.
        rows = np.zeros((len(self.cluster.addresses), len(row)))
        rows[self.cluster.index] = row
        return self.strategy.reduce("SUM", tf.constant(rows), axis=None).numpy()


def all_devices(report: Callable[[str], Any] = print) -> Devices:
    """Returns what there is to train on.

    On TensorFlow all GPUs, or all logical CPUs where there is no GPU, by a MirroredStrategy; those
    of all machines of the cluster that TF_CONFIG describes, if any, once these are there. For a
    single CPU it is no strategy, which would keep the end of training waiting: the datasets that a
    strategy adds have threads that sleep for up to a minute. On JAX its first device.

    Args:
        report: receives a line where it waits for other machines.

    Raises:
        ValueError: TF_CONFIG cannot be used, or the other machines cannot be reached.
    """
    cluster = read_cluster()
    if keras.backend.backend() != "tensorflow":
        if cluster is not None:
            raise ValueError(
                f"{VARIABLE} describes {len(cluster.addresses)} workers, but training on several "
                f"machines is TensorFlow's: unset KERAS_BACKEND, or {VARIABLE} to train on this "
                "machine alone."
            )
        return ONE_DEVICE
    import tensorflow as tf

    if cluster is not None:
        return _join(cluster, report)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if [device.device_type for device in devices] == ["CPU"]:
        strategy = tf.distribute.get_strategy()
    else:
        strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
    return Devices(strategy.num_replicas_in_sync, strategy.scope)


def _join(cluster: Cluster, report: Callable[[str], Any]) -> Workers:
    """Returns the devices of a cluster once all of its workers are there."""
    import tensorflow as tf

    address = cluster.addresses[cluster.index]
    report(f"{cluster.name}, at {address}, waits for the others.")
    try:
        with explained_failures(cluster):
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.UnknownError as error:
        raise ValueError(
            f"{cluster.name} cannot listen at {address}: the port is in use, or the host is not "
            f"this machine. Give each worker its own address in {VARIABLE}. TensorFlow says: "
            f"{error}"
        ) from error

    @contextlib.contextmanager
    def scope():
        with strategy.scope(), explained_failures(cluster):
            yield

    return Workers(strategy.num_replicas_in_sync, scope, cluster=cluster, strategy=strategy)


@contextlib.contextmanager
def explained_failures(cluster: Cluster) -> Iterator[None]:
    """Turns TensorFlow's errors of communication into a ValueError for people."""
    import tensorflow as tf

    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.DeadlineExceededError,
        tf.errors.InternalError,
        tf.errors.FailedPreconditionError,
    ) as error:
        # Without the name of the operation in the graph.
        reason = " ".join(re.sub(r"\{\{.*?\}\}", "", str(error)).split())
        raise ValueError(
            f"{cluster.name} lost another one, which has ended or cannot be reached; the message "
            "of the one that ended first tells why. The last checkpoint is kept: start all workers "
            f"again with --resume. TensorFlow says: {reason[:300]}"
        ) from error


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
