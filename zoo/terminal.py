"""What the commands print with, and how they import Keras."""

import contextlib
import faulthandler
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import NoReturn

from tonezoo.text import printable


def fail(message: str) -> NoReturn:
    """Prints an error to stderr and ends the program with exit code 1."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True).print(Text(printable(f"error: {message}"), style="red"), soft_wrap=True)
    sys.exit(1)


def import_keras(backend: str = "tensorflow") -> None:
    """Imports Keras on a backend without the build notes that TensorFlow writes to stderr.

    Keras is set to what the command line needs, whatever a keras.json of the user's says.

    Raises:
        ImportError: the backend is not installed.
    """
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    with os.fdopen(kept, "wb") as terminal, open(os.devnull, "w") as nowhere:
        # A native library that ends the process still says so.
        faulthandler.enable(terminal)
        os.dup2(nowhere.fileno(), 2)
        try:
            importlib.import_module(backend)
            import keras
        except ModuleNotFoundError as error:
            package = "'tonezoo[tensorflow]'" if backend == "tensorflow" else backend
            raise ImportError(
                f"{error.name} is not installed. This command runs Keras on {backend}: pip install "
                f"{package}."
            ) from error
        finally:
            os.dup2(kept, 2)
            faulthandler.enable(2)
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")


@contextlib.contextmanager
def stderr_set_aside() -> Iterator[None]:
    """Keeps back what this process and those that it starts write to stderr, unless it fails."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside, os.fdopen(os.dup(2), "wb") as terminal:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except Exception:
            aside.seek(0)
            shutil.copyfileobj(aside, terminal)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal.fileno(), 2)


def say(line: str) -> None:
    """Prints a line at once."""
    print(line, flush=True)
