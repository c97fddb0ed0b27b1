"""Exporting a trained model as a SavedModel with a manifest."""

import contextlib
import dataclasses
import json
import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tonezoo
from tonezoo.files import atomic_path
from tonezoo.serving.convert import check_formats, write_formats
from tonezoo.serving.manifest import versions, write_manifest
from tonezoo.serving.precision import (
    BFLOAT16_GOLDEN_TOLERANCE,
    FLOAT32,
    check_precision,
    in_bfloat16,
    round_to_half,
    stored_variables,
    with_stored_variables,
)
from tonezoo.serving.verify import GOLDEN_NAME, serving_function, verify
from tonezoo.tasks import Facts, find_task


def export(
    run: str | os.PathLike,
    to: str | os.PathLike,
    *,
    data_licence: str = "not stated",
    half: bool = False,
    dtype: str = FLOAT32,
    formats: Sequence[str] = (),
    options: Any = None,
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
        half: True to store the variables as float16, in half the space; they are computed with in
            float32.
        dtype: "mixed_bfloat16" to compute in bfloat16, with the variables stored as such but for
            vectors; inputs and outputs stay float32. For processors and GPUs that have it.
        formats: of "onnx" and "litert", those to write beside the SavedModel, see
            `tonezoo.serving.convert`.
        options: an instance of the task's `export_options`; None for their defaults.
        report: receives a one-line message.

    Returns:
        The folder of the new version.

    Raises:
        ValueError: not a run, no checkpoint in it yet, `to` cannot be written, Keras does not run
            on TensorFlow, float16 changes the golden output by more than a thousandth, bfloat16
            by more than a tenth, or a format cannot express the model.
    """
    from tonezoo.recipes.runs import RunFolder

    check_backend()
    check_formats(formats)
    check_precision(dtype, half, formats)
    folder = RunFolder(run)
    model = folder.model()
    precision: dict[str, Any] = {"dtype": dtype, "variable_dtype": FLOAT32}
    if half:
        round_to_half(model, golden_input(model))
        precision["variable_dtype"] = "float16"
    elif dtype != FLOAT32:
        model, difference = in_bfloat16(model, golden_input(model))
        precision = {
            "dtype": dtype,
            "variable_dtype": "bfloat16",
            "dtype_difference": difference,
            "golden_tolerance": BFLOAT16_GOLDEN_TOLERANCE,
        }
    task = find_task(model.task)
    to = Path(to)
    version = max(versions(to), default=0) + 1
    facts = task.model_facts(model, options or task.export_options())
    evaluation = evaluation_of(folder, dataclasses.asdict(facts))
    description = {
        **describe_model(model, facts),
        **describe_run(folder, evaluation),
        **precision,
        "formats": {},
        "data_licence": data_licence,
        "name": to.resolve().name,
        "version": version,
    }
    with atomic_path(to / str(version), folder=True) as temporary:
        told = ("task", *dataclasses.asdict(facts), "name", "version")
        write_saved_model(
            model, temporary, half=half, facts={name: description[name] for name in told}
        )
        exact = dtype == FLOAT32
        write_golden(temporary, model, None if exact else serving_function(temporary, task, facts))
        write_records(temporary, folder, with_evaluation=evaluation is not None)
        if formats:
            call = serving_function(temporary, task, facts)
            description["formats"] = write_formats(model, temporary, formats, call)
        write_manifest(temporary, description)
        verify(temporary)
    report(f"Exported {run} to {to / str(version)}.")
    return to / str(version)


def check_backend() -> None:
    """Raises ValueError where Keras does not run on TensorFlow, which writes SavedModels."""
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"Exporting takes Keras on TensorFlow, but it runs on {backend}. Set "
            "KERAS_BACKEND=tensorflow for this command."
        )


def describe_model(model, facts: Facts) -> dict:
    """Returns the manifest's facts about a model."""
    import keras
    import tensorflow as tf

    from tonezoo.variables import named_variables

    return {
        "task": model.task,
        **dataclasses.asdict(facts),
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


def describe_run(folder, evaluation: dict | None) -> dict:
    """Returns the manifest's facts about a run: recipe, options, data, commit, steps, metrics.

    Args:
        folder: the `RunFolder`.
        evaluation: the content of its evaluation.json, or None.
    """
    from tonezoo.recipes.trained import provenance

    scores: dict[str, Any] = {"metrics": None, "evaluated_on": None}
    if evaluation is not None:
        scores["metrics"] = {
            row["name"]: {key: cell.get("mean", cell.get("median")) for key, cell in cells.items()}
            for row in evaluation["rows"]
            for cells in [row["metrics"]]
        }
        scores["evaluated_on"] = evaluation[f"{evaluation['item_word']}s"]
    return {"started_from": None, **provenance(folder.path), **scores}


def evaluation_of(folder, facts: dict) -> dict | None:
    """Returns a run's evaluation, if there is one of the model as it is exported.

    Args:
        folder: the `RunFolder`.
        facts: of the exported model. An evaluation that states another value of one of them, such
            as another strength, is of another model.
    """
    from tonezoo.recipes.runs import EVALUATION_NAMES

    path = folder.path / EVALUATION_NAMES[0]
    if not path.exists():
        return None
    evaluation = json.loads(path.read_text(encoding="utf-8"))
    facts = json.loads(json.dumps(facts))
    same = all(evaluation[name] == facts[name] for name in facts.keys() & evaluation.keys())
    return evaluation if same else None


def write_saved_model(
    model, folder: Path, half: bool = False, facts: Mapping[str, Any] | None = None
) -> None:
    """Writes the SavedModel into a folder, with the signatures of its task and that of its facts.

    Args:
        half: True to store variables as float16, but for vectors; those that are computed with in
            bfloat16 are stored so.
        facts: what the model tells of itself, see `tonezoo.serving.facts`; None for its task and
            the facts of the Keras model.
    """
    import tensorflow as tf

    from tonezoo.serving.facts import FACTS_SIGNATURE, facts_signature
    from tonezoo.serving.operations import check_operations
    from tonezoo.variables import named_variables

    module = tf.Module()
    task = find_task(model.task)
    signatures = task.signatures(model)
    variables = list(named_variables(model).values())
    # A Keras variable is not tracked by TensorFlow, the variable inside it is.
    module.model_variables = [variable.value for variable in variables]
    if half or model.compute_dtype != FLOAT32:
        module.model_variables = stored_variables(model, variables, half=half)
        pairs = list(zip(variables, module.model_variables, strict=True))
        signatures = {
            name: with_stored_variables(function, pairs) for name, function in signatures.items()
        }
    if facts is None:
        facts = {"task": task.name, **dataclasses.asdict(task.model_facts(model))}
    signatures[FACTS_SIGNATURE] = facts_signature(facts)
    for name, function in signatures.items():
        setattr(module, name, function)
    try:
        tf.saved_model.save(module, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        raise ValueError(f"Cannot write the SavedModel: {error.message}") from error
    check_operations(folder, "Build the model from keras.ops and Keras layers only.")


def write_records(folder: Path, run, *, with_evaluation: bool) -> None:
    """Copies a run's log and evaluation into a folder, with the log's curves where it can."""
    from tonezoo.recipes.runs import EVALUATION_NAMES

    left_out = () if with_evaluation else EVALUATION_NAMES
    for path in run.records:
        if path.name not in left_out:
            shutil.copyfile(path, folder / path.name)
    log = [line for line in run.read_log() if line["name"] == run.main_network]
    # The picture is an extra, and so is matplotlib.
    with contextlib.suppress(ImportError):
        from tonezoo.analysis.training_curves import save_training_curves

        if log:
            save_training_curves(folder / "curves.png", log)


def write_golden(folder: Path, model, call: Callable[[np.ndarray], np.ndarray] | None = None):
    """Writes a fixed noise input, two signals of odd length, and the output.

    Args:
        folder: of the version.
        model: the Keras model.
        call: what gives the output; None for the Keras model.
    """
    waveform = golden_input(model)
    output = call(waveform) if call else np.asarray(model(waveform, training=False), "float32")
    np.savez(folder / GOLDEN_NAME, input=waveform, output=output)


def golden_input(model) -> np.ndarray:
    """Returns two signals of noise of odd length, (2, time, channels)."""
    shape = (2, find_task(model.task).golden_samples(model), model.channels)
    return np.random.default_rng(0).uniform(-0.5, 0.5, shape).astype("float32")
