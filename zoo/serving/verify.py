"""Loading an exported model and checking that it does what it did when it was written."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tonezoo.files import ArrayFile
from tonezoo.serving.manifest import read_manifest, resolve_version
from tonezoo.serving.operations import check_operations
from tonezoo.tasks import Facts, Task, find_task

GOLDEN_NAME = "golden.npz"
# Of its maximum, where the manifest states no other.
GOLDEN_TOLERANCE = 1e-4


def verify(path: str | os.PathLike) -> dict:
    """Checks the hashes of an exported model, loads it and compares its golden output.

    Args:
        path: a version's folder, the model's folder for its newest version, or the name of a model
            that comes with tonezoo.

    Returns:
        The manifest.

    Raises:
        ValueError: not a tonezoo model; a missing, changed or unlisted file (named); an operation
            that tonezoo's models do not use; or another output.
    """
    return load_verified(path)[0]


def load_verified(path: str | os.PathLike) -> tuple[dict, Any]:
    """Returns the manifest of an exported model that passes `verify`, and its SavedModel.

    Keep the latter referenced while its signatures are used.

    Raises:
        ValueError: as `verify`.
    """
    folder = resolve_version(path)
    manifest, task, facts = read_exported(folder)
    waveform, expected = read_golden(folder / GOLDEN_NAME)
    loaded = load_signatures(folder)
    output = inference_function(loaded, folder, task, facts)(waveform)
    difference = np.abs(output - expected).max() if output.shape == expected.shape else math.inf
    allowed = manifest.get("golden_tolerance", GOLDEN_TOLERANCE) * np.abs(expected).max()
    if not difference <= allowed:
        raise ValueError(
            f"{folder} loads, but its output differs from the golden one by {difference:.3g} "
            f"(allowed: {allowed:.3g}). Do not use it; export the model again."
        )
    return manifest, loaded


def read_golden(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Returns the fixed input (batch, time, channels) of an exported model and its output.

    Raises:
        ValueError: the file is damaged, or holds something else.
    """
    remedy = "Export the model again, or copy it again from where it came from."
    with ArrayFile(path, remedy) as golden:
        arrays = golden["input"], golden["output"]
    for array, axes in zip(arrays, ((3,), (3, 4)), strict=True):
        if array.dtype != np.float32 or array.ndim not in axes or not array.size:
            raise ValueError(
                f"{path} holds {array.dtype} of the shape {array.shape} instead of float32 "
                f"(batch, time, ...). {remedy}"
            )
    return arrays


def read_exported(folder: Path) -> tuple[dict, Task, Facts]:
    """Returns the manifest of a version, its files checked, with its task and facts.

    Raises:
        ValueError: as `read_manifest`.
    """
    manifest = read_manifest(folder)
    task = find_task(manifest["task"])
    return manifest, task, task.facts.read(manifest, folder)


def serving_function(folder: Path, task: Task, facts: Facts) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the signature of a SavedModel that inference calls, as a NumPy function.

    Args:
        folder: a version's folder, its files checked.
        task: the model's.
        facts: of its manifest.

    Raises:
        ValueError: it cannot be loaded, or has no such signature; when called: it fails on that
            input, memory that ran out included.
    """
    return inference_function(load_signatures(folder), folder, task, facts)


def inference_function(
    loaded: Any, folder: Path, task: Task, facts: Facts
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the inference signature of a loaded SavedModel as a function of arrays."""
    name = task.inference_signature
    if name not in getattr(loaded, "signatures", {}):
        raise ValueError(f"{folder} has no signature {name}. Export the model again.")

    def call(waveform: np.ndarray) -> np.ndarray:
        return task.output(loaded.signatures[name](**{task.inference_input: waveform}), facts)

    return with_explained_errors(call, folder)


def load_signatures(folder: Path):
    """Returns the loaded SavedModel; keep it referenced while its signatures are used.

    Raises:
        ValueError: TensorFlow cannot load it, or it holds operations that tonezoo's models do not
            use: a SavedModel is a program, which could write files for instance.
    """
    import tensorflow as tf

    check_operations(folder, "It was not made by tonezoo; do not load it.")
    try:
        return tf.saved_model.load(str(folder))
    # What TensorFlow raises for a file that it cannot read has no common base class.
    except Exception as error:
        raise ValueError(
            f"{folder} cannot be loaded as a SavedModel, though its files are those of its "
            f"manifest. Export the model again."
        ) from error


def with_explained_errors(
    call: Callable[[np.ndarray], np.ndarray], name: object
) -> Callable[[np.ndarray], np.ndarray]:
    """Returns `call` with the errors of TensorFlow's operations as ValueErrors naming the model."""
    import tensorflow as tf

    def explained(waveform: np.ndarray) -> np.ndarray:
        try:
            return call(waveform)
        except tf.errors.ResourceExhaustedError as error:
            raise ValueError(
                f"{name} ran out of memory on an input of the shape {waveform.shape}. Compute less "
                "at once, for example with a shorter segment."
            ) from error
        except tf.errors.OpError as error:
            reason = error.message.partition("\n")[0]
            raise ValueError(
                f"{name} fails on an input of the shape {waveform.shape}: {reason}"
            ) from error

    return explained
