"""The TensorBoard log of a training run, where TensorFlow is there to write it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import keras


@contextlib.contextmanager
def summary_writer(folder: Path) -> Iterator:
    """Yields a `tf.summary` writer to a folder, closed in the end; None without TensorFlow."""
    try:
        import tensorflow as tf
    except ImportError:
        yield None
        return
    if keras.backend.backend() != "tensorflow":
        # It would take the memory of the GPUs that another backend computes on. They can no longer
        # be hidden once it has started.
        with contextlib.suppress(RuntimeError):
            tf.config.set_visible_devices([], "GPU")
    writer = tf.summary.create_file_writer(str(folder))
    try:
        yield writer
    finally:
        writer.close()
