"""What all tests share: the CPU alone, TensorFlow as the backend, quiet logs, fixed seeds."""

import os
import sys
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest
import tensorflow as tf
from tiny_run import train_tiny, train_tiny_separation

# Logical devices have to be split before TensorFlow touches them, hence here and for every test.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], 2 * [tf.config.LogicalDeviceConfiguration()]
)

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def reproducible():
    """Seeds Python, NumPy and the backend, and undoes a precision policy that a test has set."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def two_replicas() -> tf.distribute.MirroredStrategy:
    """The process's only distribution strategy: two replicas, each on a logical CPU."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(scope="session")
def shared_audio() -> Path:
    """Folder of real recordings: TONEZOO_TEST_AUDIO, else ../shared/audio beside the repository."""
    folder = Path(os.environ.get("TONEZOO_TEST_AUDIO", ROOT.parent / "shared" / "audio"))
    if not folder.is_dir():
        pytest.skip(f"no real audio at {folder}; TONEZOO_TEST_AUDIO names another folder")
    return folder


@pytest.fixture(scope="session")
def source_tree() -> Path:
    """The repository's root; skips where the tests lie elsewhere and run against a built wheel."""
    if not (ROOT / "zoo" / "__init__.py").is_file():
        pytest.skip("the tests are not beside the source tree")
    return ROOT


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Path:
    """A finished run of one step per phase, trained in a process of its own."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    train_tiny(run)
    return run


@pytest.fixture(scope="session")
def tiny_model(tiny_run, tmp_path_factory) -> Path:
    """The exported model of `tiny_run`; copy it before changing anything in it."""
    from tonezoo.serving.export import export

    to = tmp_path_factory.mktemp("savedmodels") / "tiny"
    export(tiny_run, to, report=lambda line: None)
    return to


@pytest.fixture(scope="session")
def tiny_separation_run(tmp_path_factory) -> Path:
    """A finished separation run of four steps, trained in a process of its own."""
    run = tmp_path_factory.mktemp("runs") / "tiny_separation"
    train_tiny_separation(run)
    return run


@pytest.fixture(scope="session")
def tiny_separation_model(tiny_separation_run, tmp_path_factory) -> Path:
    """The exported model of `tiny_separation_run`; copy it before changing anything in it."""
    from tonezoo.serving.export import export

    to = tmp_path_factory.mktemp("savedmodels") / "tiny_separation"
    export(tiny_separation_run, to, report=lambda line: None)
    return to


@pytest.fixture
def cli(monkeypatch, capfd):
    """Runs the command line in this process: cli(*words) -> exit code, stdout, stderr."""

    def run(*words) -> tuple[int, str, str]:
        from tonezoo.cli import main

        monkeypatch.setattr(sys, "argv", ["tonezoo", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capfd.readouterr()
        return stop.value.code or 0, out, err

    return run
