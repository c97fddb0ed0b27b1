"""Exporting a trained model as a SavedModel with a manifest, verifying it, loading it again."""

import contextlib
import importlib
import json
import math
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tonezoo
from tonezoo.files import ArrayFile, atomic_path
from tonezoo.serving.manifest import (
    read_manifest,
    resolve_version,
    versions,
    write_manifest,
)

GOLDEN_NAME = "golden.npz"
GOLDEN_TOLERANCE = 1e-4


def export(
    run: str | os.PathLike,
    to: str | os.PathLike,
    *,
    data_licence: str = "not stated",
    report: Callable[[str], None] = print,
) -> Path:
    """Exports the model of a run to `to`/<version>/, the next integer version.

    The folder holds a SavedModel of stock TensorFlow operations with the signatures of its task
    (docs/exporting.md); a golden input and output; the run's log,
    its curves (with matplotlib) and its evaluation if there is one; and a manifest with a hash of
    every file. It takes its name only when all of it is written and verified.

    Args:
        run: folder of a training run.
        to: folder of the exported model, whose versions lie in it.
        data_licence: licence and attribution of the training data, for the manifest.

    Returns:
        The folder of the new version.

    Raises:
        ValueError: not a run, no checkpoint in it yet, or `to` cannot be written.
    """
    from tonezoo.recipes.runs import RunFolder

    folder = RunFolder(run)
    model = folder.model()
    to = Path(to)
    version = max(versions(to), default=0) + 1
    description = {
        **describe_model(model),
        **describe_run(folder),
        "data_licence": data_licence,
        "name": to.resolve().name,
        "version": version,
    }
    with atomic_path(to / str(version), folder=True) as temporary:
        write_saved_model(model, temporary)
        write_golden(temporary, model)
        write_records(temporary, folder)
        write_manifest(temporary, description)
        verify(temporary)
    report(f"Exported {run} to {to / str(version)}.")
    return to / str(version)


def inference_facts(model) -> dict:
    """Returns the facts about a model that inference goes by."""
    return {
        "task": model.task,
        "sample_rate_hz": model.sample_rate_hz,
        "grid_samples": model.grid_samples,
        "context_samples": model.context_samples,
        **task_export(model.task).describe(model),
    }


def describe_model(model) -> dict:
    """Returns the manifest's facts about a model."""
    import keras
    import tensorflow as tf

    from tonezoo.variables import named_variables

    return {
        **inference_facts(model),
        "model": type(model).__name__,
        "parameters": model.count_params(),
        "variables": list(named_variables(model)),
        "versions": {
            "tonezoo": tonezoo.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
    }


def task_export(task: str):
    """Returns the module with what a task's exported models have of their own.

    `describe(model)` gives facts for the manifest, `signatures(model)` the functions to be served,
    `output(outputs, facts)` an array of what the one named INFERENCE gives, `golden_samples(model)`
    the length of the golden input, and `for_inference(call, facts, name)` what `load` returns.
    """
    return importlib.import_module(f"tonezoo.tasks.{task}.signatures")


def describe_run(folder) -> dict:
    """Returns the manifest's facts about a run: recipe, options, data, commit, steps, metrics."""
    from tonezoo.recipes.trained import provenance

    path = folder.path / "evaluation.json"
    evaluation = json.loads(path.read_text()) if path.exists() else None
    return {
        "started_from": None,
        **provenance(folder.path),
        "metrics": None if evaluation is None else mean_scores(evaluation["rows"]),
        "evaluated_on": None
        if evaluation is None
        else evaluation.get("clips", evaluation.get("tracks")),
    }


def mean_scores(rows: list[dict]) -> dict:
    """Returns row -> metric -> mean over clips of the rows of an evaluation.json."""
    return {
        row["name"]: {metric: cell["mean"] for metric, cell in row["metrics"].items()}
        for row in rows
    }


def write_saved_model(model, folder: Path) -> None:
    """Writes the SavedModel with the signatures of its task into a folder."""
    import tensorflow as tf

    from tonezoo.serving.operations import check_operations

    module = tf.Module()
    # A Keras variable is not tracked by TensorFlow, the variable inside it is.
    module.model_variables = [variable.value for variable in model.variables]
    signatures = task_export(model.task).signatures(model)
    for name, function in signatures.items():
        setattr(module, name, function)
    try:
        tf.saved_model.save(module, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        raise ValueError(f"Cannot write the SavedModel: {error.message}") from error
    check_operations(folder)


def write_records(folder: Path, run) -> None:
    """Copies a run's log and evaluation into a folder, with the log's curves where it can."""
    for path in run.records:
        shutil.copyfile(path, folder / path.name)
    log = [line for line in run.read_log() if line["name"] == run.main_network]
    # The picture is an extra, and so is matplotlib.
    with contextlib.suppress(ImportError):
        from tonezoo.analysis.training_curves import save_training_curves

        if log:
            save_training_curves(folder / "curves.png", log)


def write_golden(folder: Path, model) -> None:
    """Writes a fixed noise input, two signals of odd length, and the Keras model's output."""
    shape = (2, task_export(model.task).golden_samples(model), model.channels)
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype("float32")
    output = np.asarray(model(waveform, training=False), "float32")
    np.savez(folder / GOLDEN_NAME, input=waveform, output=output)


def load_signatures(folder: Path):
    """Returns the loaded SavedModel; keep it referenced while its signatures are used.

    Raises:
        ValueError: TensorFlow cannot load it.
    """
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(folder))
    # What TensorFlow raises for a file that it cannot read has no common base class.
    except Exception as error:
        raise ValueError(
            f"{folder} cannot be loaded as a SavedModel, though its files are those of its "
            f"manifest. Export the model again."
        ) from error


def serving_function(folder: Path, facts: dict) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the signature of a SavedModel that inference calls, as a NumPy function.

    Args:
        folder: a version's folder.
        facts: its manifest.

    Raises:
        ValueError: it cannot be loaded, or has no such signature; when called: it fails on that
            input, memory that ran out included.
    """
    loaded, module = load_signatures(folder), task_export(facts["task"])
    if module.INFERENCE not in getattr(loaded, "signatures", {}):
        raise ValueError(f"{folder} has no signature {module.INFERENCE}. Export the model again.")

    def call(waveform: np.ndarray) -> np.ndarray:
        return module.output(loaded.signatures[module.INFERENCE](waveform=waveform), facts)

    return _with_explained_errors(call, folder)


def _with_explained_errors(call, name):
    """Returns `call` with the errors of TensorFlow's operations as ValueErrors."""
    import tensorflow as tf

    def explained(waveform: np.ndarray) -> np.ndarray:
        try:
            return call(waveform)
        except tf.errors.ResourceExhaustedError as error:
            raise ValueError(
                f"{name} ran out of memory on an input of the shape {waveform.shape}. Compute less "
                "at once, for example with a smaller --chunk-s."
            ) from error
        except tf.errors.OpError as error:
            reason = error.message.partition("\n")[0]
            raise ValueError(
                f"{name} fails on an input of the shape {waveform.shape}: {reason}"
            ) from error

    return explained


def verify(path: str | os.PathLike) -> dict:
    """Checks the hashes of an exported model, loads it and compares its golden output.

    Args:
        path: a version's folder, the model's folder for its newest version, or the name of a model
            that comes with tonezoo.

    Returns:
        The manifest.

    Raises:
        ValueError: not a tonezoo model, a missing or changed file (named), or another output.
    """
    folder = resolve_version(path)
    manifest = read_manifest(folder)
    waveform, expected = read_golden(folder / GOLDEN_NAME)
    output = serving_function(folder, manifest)(waveform)
    difference = np.abs(output - expected).max() if output.shape == expected.shape else math.inf
    allowed = GOLDEN_TOLERANCE * np.abs(expected).max()
    if not difference <= allowed:
        raise ValueError(
            f"{folder} loads, but its output differs from the golden one by {difference:.3g} "
            f"(allowed: {allowed:.3g}). Do not use it; export the model again."
        )
    return manifest


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


def load(path: str | os.PathLike):
    """Loads a model for inference: an exported one (its hashes checked first) or a training run.

    Args:
        path: an exported model's folder (its newest version is taken), one of its versions, a run's
            folder, or the name of a model that comes with tonezoo.

    Returns:
        The engine of its task: a `SuperResolver` or a `Separator`.

    Raises:
        ValueError: nothing usable there, or a file that is missing or changed, by name.
    """
    from tonezoo.recipes.runs import RunFolder, is_run

    if is_run(path):
        model = RunFolder(path).model()
        call, facts, name = compiled_call(model), inference_facts(model), Path(path).resolve().name
    else:
        folder = resolve_version(path)
        facts = read_manifest(folder)
        call = serving_function(folder, facts)
        name = f"{facts['name']} {facts['version']}"
    return task_export(facts["task"]).for_inference(call, facts, name)


def compiled_call(model) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a Keras model as a NumPy function, compiled once for all lengths."""
    import tensorflow as tf

    waveform = tf.TensorSpec((None, None, model.channels), tf.float32)

    @tf.function(input_signature=[waveform])
    def function(samples):
        return model(samples, training=False)

    return _with_explained_errors(lambda samples: function(samples).numpy(), "The model")
