"""An exported model as workers need it: what it is without TensorFlow, and what it computes."""

import dataclasses
import functools
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tonezoo.batch import storage
from tonezoo.serving.manifest import resolve_version
from tonezoo.serving.verify import GOLDEN_NAME, read_exported, read_golden, serving_function
from tonezoo.tasks import Engine, Facts, Task

_one_at_a_time = threading.Lock()


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """What the files of an exported model say of it.

    Attributes:
        folder: of its version.
        name: what to call it in messages.
        lengthening: samples of its output per sample, or frame, of its input.
        output_axes: lengths of its output's axes behind (batch, time).
    """

    folder: Path
    task: Task
    facts: Facts
    name: str
    lengthening: int
    output_axes: tuple[int, ...]

    def engine(self, call: Callable[[np.ndarray], np.ndarray]) -> Engine:
        """Returns the task's engine around a function that stands for the model."""
        return self.task.engine(call, self.facts, self.name)

    def zeros(self, x: np.ndarray) -> np.ndarray:
        """Returns an output for (batch, time, channels), of the right shape, without the model."""
        batch, time, _ = x.shape
        return np.zeros((batch, self.lengthening * time, *self.output_axes), "float32")


@functools.cache
def exported_model(model: str) -> ExportedModel:
    """Returns what there is to know of an exported model, its files checked.

    Args:
        model: its folder, one of its versions, or the name of a model that comes with tonezoo; a
            folder on a file system that Beam knows is copied to this machine.

    Raises:
        ValueError: it is none; a training run is not.
    """
    if storage.is_remote(model):
        copies = Path(tempfile.mkdtemp(dir=_copies().name))
        folder = resolve_version(storage.fetch(model, copies))
    else:
        folder = resolve_version(model)
    manifest, task, facts = read_exported(folder)
    golden_input, golden_output = read_golden(folder / GOLDEN_NAME)
    return ExportedModel(
        folder=folder,
        task=task,
        facts=facts,
        name=f"{manifest['name']} {manifest['version']}",
        lengthening=golden_output.shape[1] // golden_input.shape[1],
        output_axes=golden_output.shape[2:],
    )


@functools.cache
def _copies() -> tempfile.TemporaryDirectory:
    """Returns where models from elsewhere are copied to; it goes when Python ends."""
    return tempfile.TemporaryDirectory()


@functools.cache
def loaded_model(model: str) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a model as a NumPy function, loaded once in this process.

    Raises:
        ValueError: as `exported_model`, or it cannot be loaded.
    """
    start_keras()
    exported = exported_model(model)
    return serving_function(exported.folder, exported.task, exported.facts)


def start_keras() -> None:
    """Imports Keras as the command line does, once, however many threads ask for it."""
    with _one_at_a_time:
        _import_once()


@functools.cache
def _import_once() -> None:
    from tonezoo.terminal import import_keras

    import_keras()
