"""What a run leaves behind in its process: nothing."""

import sys

import pytest
import tensorflow as tf
from tensorflow.python.framework import config

from tonezoo.recipes.devices import deterministic_operations
from tonezoo.recipes.tensorboard import summary_writer


def test_determinism_ends_with_the_run():
    with pytest.raises(ValueError), deterministic_operations(True):
        assert config.is_op_determinism_enabled()
        raise ValueError
    assert not config.is_op_determinism_enabled()
    with deterministic_operations(False):
        assert not config.is_op_determinism_enabled()


def test_determinism_of_the_process_stays():
    tf.config.experimental.enable_op_determinism()
    try:
        for wanted in (True, False):
            with deterministic_operations(wanted):
                assert config.is_op_determinism_enabled()
            assert config.is_op_determinism_enabled()
    finally:
        config.disable_op_determinism()


def test_the_tensorboard_log_is_closed_and_complete(tmp_path):
    with summary_writer(tmp_path) as writer, writer.as_default():
        tf.summary.scalar("loss", 0.5, step=1)
    (events,) = tmp_path.iterdir()
    assert b"loss" in events.read_bytes()
    with pytest.raises(RuntimeError, match="closed"):
        writer.as_default().__enter__()


def test_without_tensorflow_there_is_no_tensorboard_log(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with summary_writer(tmp_path) as writer:
        assert writer is None
    assert not [*tmp_path.iterdir()]
