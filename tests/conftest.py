"""What all tests share: the CPU alone, TensorFlow as the backend, quiet logs, fixed seeds."""

import gc
import os
import random
import shutil
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Most of what JAX does in a test is compiling: for a few steps, optimized code is not worth it.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
# Of the tiny runs and of their exports, task by task.
NAMES = {"super_resolution": "tiny", "separation": "tiny_separation", "vocoding": "tiny_vocoding"}


def pytest_configure(config):
    """Splits the CPU before TensorFlow touches it, in each process that runs tests."""
    if not hasattr(config, "workerinput") and config.getoption("numprocesses", None):
        return  # The process that starts the others: they need not wait until it has TensorFlow.
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])


def pytest_collection_modifyitems(items):
    """Puts files with slow tests first, so that all processes are busy to the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish(session):
    """Looks for garbage less often: in traced graphs that takes a tenth of the time."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)


@pytest.fixture(autouse=True)
def reproducible():
    """Seeds Python, NumPy and the backend, and undoes a precision policy that a test has set."""
    import keras

    random.seed(0)
    np.random.seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def two_replicas():
    """The process's only distribution strategy: two replicas, each on a logical CPU."""
    import tensorflow as tf

    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def one_device():
    """Lets `tonezoo train` run in this process, whose only strategy is `two_replicas`."""
    import tiny_run

    with tiny_run.one_device():
        yield


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


@pytest.fixture(scope="module")
def browser():
    """Chromium or Chrome without a window; for a module, as its event loop is the thread's."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip("no Chromium or Chrome on the path")
    with sync_api.sync_playwright() as playwright:
        # Its microphone beeps, and whoever asks for it gets it.
        fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *fake])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory) -> Callable[[str], Path]:
    """tiny_runs(task): the finished run of a task, trained once; copy it before changing it."""

    import tiny_run

    @cache
    def run(task):
        folder = tmp_path_factory.mktemp("runs") / NAMES[task]
        tiny_run.train_tiny(task, folder)
        return folder

    return run


@pytest.fixture(scope="session")
def tiny_models(tiny_runs, tmp_path_factory) -> Callable[[str], Path]:
    """tiny_models(task): the exported model of `tiny_runs(task)`; copy it before changing it."""
    from tonezoo.serving.export import export

    @cache
    def model(task):
        folder = tmp_path_factory.mktemp("savedmodels") / NAMES[task]
        export(tiny_runs(task), folder, report=lambda line: None)
        return folder

    return model


@pytest.fixture(scope="session")
def tiny_run(tiny_runs) -> Path:
    return tiny_runs("super_resolution")


@pytest.fixture(scope="session")
def tiny_model(tiny_models) -> Path:
    return tiny_models("super_resolution")


@pytest.fixture(scope="session")
def tiny_separation_run(tiny_runs) -> Path:
    return tiny_runs("separation")


@pytest.fixture(scope="session")
def tiny_separation_model(tiny_models) -> Path:
    return tiny_models("separation")


@pytest.fixture
def short_filters(monkeypatch):
    """Lets museval fit filters of 16 taps in place of 512, which take seconds per track."""
    from tonezoo.analysis.separation_metrics import import_museval

    try:
        metrics = import_museval().metrics
    except ImportError:  # It is an extra, and does not load without ffmpeg.
        return
    monkeypatch.setattr(metrics, "bss_eval", partial(metrics.bss_eval, filters_len=16))


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
