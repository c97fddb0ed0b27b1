"""Exporting a trained model as a SavedModel with a manifest, verifying it, loading it again."""

import hashlib
import json
import math
import os
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tonezoo
from tonezoo.files import atomic_path

MANIFEST_NAME = "manifest.json"
GOLDEN_NAME = "golden.npz"
FORMAT = "tonezoo SavedModel 1"
GOLDEN_TOLERANCE = 1e-4


def export(
    run: str | os.PathLike,
    to: str | os.PathLike,
    *,
    data_licence: str = "not stated",
    report: Callable[[str], None] = print,
) -> Path:
    """Exports the generator of a run to `to`/<version>/, the next integer version.

    The folder holds a SavedModel of stock TensorFlow operations with the signatures
    serving_default (`waveform` (batch, time, 1) -> `waveform` (batch, ratio * time, 1)),
    with_lengths (the same with `lengths` (batch,)) and wav_bytes (`audio_bytes` (batch,), WAV files
    at the low rate -> `audio_bytes`, 16-bit WAV files); a manifest with a hash of every file; and a
    golden input and output. It takes its name only when all of it is written and verified.

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
    model = folder.generator()
    to = Path(to)
    version = max(versions(to), default=0) + 1
    description = {
        **describe_model(model),
        **describe_run(folder),
        "data_licence": data_licence,
        "name": to.name,
        "version": version,
    }
    with atomic_path(to / str(version), folder=True) as temporary:
        write_saved_model(model, temporary)
        write_golden(temporary, model)
        write_manifest(temporary, description)
        verify(temporary)
    report(f"Exported {run} to {to / str(version)}.")
    return to / str(version)


def describe_model(model) -> dict:
    """Returns the manifest's facts about a super-resolution model, which inference needs."""
    import keras
    import tensorflow as tf

    return {
        "model": type(model).__name__,
        "parameters": model.count_params(),
        "ratio": model.ratio,
        "sample_rate_hz": model.sample_rate_hz,
        "low_rate_hz": model.sample_rate_hz / model.ratio,
        "grid_samples": model.grid_samples,
        "context_samples": model.context_samples,
        "versions": {
            "tonezoo": tonezoo.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
    }


def describe_run(folder) -> dict:
    """Returns the manifest's facts about a run: recipe, options, data, commit, steps, metrics."""
    config = folder.config
    evaluation = folder.path / "evaluation.json"
    return {
        "recipe": config["recipe"],
        "options": config["options"],
        "data": config["data"],
        "commit": config["commit"],
        "training_steps": folder.trained_steps(),
        "metrics": mean_scores(evaluation) if evaluation.exists() else None,
    }


def mean_scores(evaluation: Path) -> dict:
    """Returns row -> metric -> mean over clips of an evaluation.json."""
    rows = json.loads(evaluation.read_text())["rows"]
    return {
        row["name"]: {metric: cell["mean"] for metric, cell in row["metrics"].items()}
        for row in rows
    }


def write_saved_model(model, folder: Path) -> None:
    """Writes the SavedModel with its three signatures into a folder."""
    import tensorflow as tf

    from tonezoo.inference import RATE_TOLERANCE_HZ
    from tonezoo.serving_ops import check_operations

    waveform = tf.TensorSpec((None, None, 1), tf.float32, name="waveform")
    lengths = tf.TensorSpec((None,), tf.int32, name="lengths")
    audio_bytes = tf.TensorSpec((None,), tf.string, name="audio_bytes")
    low_rate_hz = model.sample_rate_hz / model.ratio

    def not_empty(x):
        message = "This model needs at least one sample, but got the shape:"
        with tf.control_dependencies(
            [tf.debugging.Assert(tf.shape(x)[1] > 0, [message, tf.shape(x)])]
        ):
            return tf.identity(x)

    @tf.function(input_signature=[waveform])
    def serving_default(waveform):
        return {"waveform": tf.cast(model(not_empty(waveform), training=False), tf.float32)}

    @tf.function(input_signature=[waveform, lengths])
    def with_lengths(waveform, lengths):
        output = model(not_empty(waveform), lengths=lengths, training=False)
        return {"waveform": tf.cast(output, tf.float32)}

    def upsample_wav(contents):
        samples, rate_hz = tf.audio.decode_wav(contents)
        difference = tf.abs(tf.cast(rate_hz, tf.float32) - low_rate_hz)
        message = f"This model takes WAV files at {low_rate_hz:g} Hz, but got (Hz):"
        with tf.control_dependencies(
            [tf.debugging.Assert(difference <= RATE_TOLERANCE_HZ, [message, rate_hz])]
        ):
            channels = tf.transpose(samples)[:, :, None]
        output = tf.cast(model(not_empty(channels), training=False), tf.float32)[:, :, 0]
        return tf.audio.encode_wav(tf.transpose(output), model.sample_rate_hz)

    @tf.function(input_signature=[audio_bytes])
    def wav_bytes(audio_bytes):
        return {"audio_bytes": tf.map_fn(upsample_wav, audio_bytes)}

    module = tf.Module()
    # A Keras variable is not tracked by TensorFlow, the variable inside it is.
    module.model_variables = [variable.value for variable in model.variables]
    signatures = {
        "serving_default": serving_default,
        "with_lengths": with_lengths,
        "wav_bytes": wav_bytes,
    }
    for name, function in signatures.items():
        setattr(module, name, function)
    try:
        tf.saved_model.save(module, str(folder), signatures=signatures)
    except tf.errors.OpError as error:
        raise ValueError(f"Cannot write the SavedModel: {error.message}") from error
    check_operations(folder)


def write_golden(folder: Path, model) -> None:
    """Writes a fixed noise input, two signals of odd length, and the Keras model's output."""
    samples = 1 + 1200 // model.ratio
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, (2, samples, 1)).astype("float32")
    output = np.asarray(model(waveform, training=False), "float32")
    np.savez(folder / GOLDEN_NAME, input=waveform, output=output)


def write_manifest(folder: Path, description: dict) -> None:
    """Writes manifest.json with a hash of every file in the folder, and one of itself."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        **description,
        "files": {path.relative_to(folder).as_posix(): file_hash(path) for path in files},
    }
    manifest["manifest_sha256"] = text_hash(manifest_text(manifest))
    (folder / MANIFEST_NAME).write_text(manifest_text(manifest))


def manifest_text(manifest: dict) -> str:
    return json.dumps(manifest, indent=2, sort_keys=True) + "\n"


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def versions(path: Path) -> list[int]:
    """Returns the integer versions in a model's folder, in ascending order."""
    if not path.is_dir():
        return []
    return sorted(int(entry.name) for entry in path.iterdir() if entry.name.isdecimal())


def resolve_version(path: str | os.PathLike) -> Path:
    """Returns the folder of a SavedModel: `path` itself, or its newest version.

    Raises:
        ValueError: there is no such folder, or no SavedModel of ours in it.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"There is no model at {path}.")
    if not path.is_dir():
        raise ValueError(f"{path} is a file, but a model is a folder.")
    if not (path / MANIFEST_NAME).exists() and (found := versions(path)):
        path = path / str(found[-1])
    if not (path / MANIFEST_NAME).exists():
        what = "a SavedModel without" if (path / "saved_model.pb").exists() else "a folder without"
        raise ValueError(
            f"{path} is not a tonezoo model: it is {what} {MANIFEST_NAME}. Models come from "
            "`tonezoo export`."
        )
    return path


def read_manifest(folder: Path) -> dict:
    """Returns a model's manifest after checking it and every file that it lists.

    Raises:
        ValueError: names the missing or changed file.
    """
    text = (folder / MANIFEST_NAME).read_text(errors="replace")
    changed = (
        f"{folder / MANIFEST_NAME} was changed since it was written. Export the model again, or "
        "copy it again from where it came from."
    )
    try:
        manifest = json.loads(text)
        unsigned = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
        intact = manifest["manifest_sha256"] == text_hash(
            manifest_text(unsigned)
        ) and text == manifest_text(manifest)
    except (ValueError, KeyError, AttributeError):
        raise ValueError(changed) from None
    if not intact:
        raise ValueError(changed)
    if manifest["format"] != FORMAT:
        raise ValueError(
            f"{folder} has the format {manifest['format']!r}; this tonezoo reads {FORMAT!r}. "
            "Use the tonezoo that exported it, or export it again."
        )
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise ValueError(f"{path} is missing. Copy the whole model folder again.")
        if file_hash(path) != expected:
            raise ValueError(
                f"{path} was changed since the export: its SHA-256 differs from the manifest's. "
                "Copy the whole model folder again."
            )
    return manifest


def load_signatures(folder: Path):
    """Returns the loaded SavedModel; keep it referenced while its signatures are used."""
    import tensorflow as tf

    return tf.saved_model.load(str(folder))


def verify(path: str | os.PathLike) -> dict:
    """Checks the hashes of an exported model, loads it and compares its golden output.

    Args:
        path: a version's folder, or the model's folder for its newest version.

    Returns:
        The manifest.

    Raises:
        ValueError: not a tonezoo model, a missing or changed file (named), or another output.
    """
    folder = resolve_version(path)
    manifest = read_manifest(folder)
    loaded = load_signatures(folder)
    with np.load(folder / GOLDEN_NAME) as golden:
        waveform, expected = golden["input"], golden["output"]
    output = loaded.signatures["serving_default"](waveform=waveform)["waveform"].numpy()
    difference = np.abs(output - expected).max() if output.shape == expected.shape else math.inf
    allowed = GOLDEN_TOLERANCE * np.abs(expected).max()
    if not difference <= allowed:
        raise ValueError(
            f"{folder} loads, but its output differs from the golden one by {difference:.3g} "
            f"(allowed: {allowed:.3g}). Do not use it; export the model again."
        )
    return manifest


def load(path: str | os.PathLike):
    """Loads a model for inference: an exported one (its hashes checked first) or a training run.

    Args:
        path: an exported model's folder (its newest version is taken), one of its versions, or a
            run's folder.

    Returns:
        A `tonezoo.inference.SuperResolver`.

    Raises:
        ValueError: nothing usable there, or a file that is missing or changed, by name.
    """
    from tonezoo.inference import SuperResolver
    from tonezoo.recipes.runs import RunFolder, is_run

    if is_run(path):
        model = RunFolder(path).generator()
        return SuperResolver(
            compiled_call(model),
            ratio=model.ratio,
            sample_rate_hz=model.sample_rate_hz,
            grid_samples=model.grid_samples,
            context_samples=model.context_samples,
            name=Path(path).name,
        )
    folder = resolve_version(path)
    manifest = read_manifest(folder)
    loaded = load_signatures(folder)

    def call(waveform: np.ndarray) -> np.ndarray:
        return loaded.signatures["serving_default"](waveform=waveform)["waveform"].numpy()

    return SuperResolver(
        call,
        ratio=manifest["ratio"],
        sample_rate_hz=manifest["sample_rate_hz"],
        grid_samples=manifest["grid_samples"],
        context_samples=manifest["context_samples"],
        name=f"{manifest['name']} {manifest['version']}",
    )


def compiled_call(model) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a Keras model as a NumPy function, compiled once for all lengths."""
    import tensorflow as tf

    waveform = tf.TensorSpec((None, None, 1), tf.float32)

    @tf.function(input_signature=[waveform])
    def function(samples):
        return model(samples, training=False)

    return lambda samples: function(samples).numpy()
