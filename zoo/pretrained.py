"""Trained models by name or folder: as engines that run on audio, and as Keras models."""

import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tonezoo.keras_files import SUFFIX, load_keras_model

if TYPE_CHECKING:
    import keras

    from tonezoo.tasks import Engine

# Models kept by `engine_for`: at least as many as are taken where none is named.
KEPT_ENGINES = 3


def shipped_models() -> dict[str, Path]:
    """Returns name -> folder of the exported models in the package.

    Example:

    >>> "mu_gan_speech_x4" in shipped_models()
    True
    """
    root = Path(str(resources.files("tonezoo.savedmodels")))
    return {
        path.name: path
        for path in sorted(root.iterdir())
        if path.is_dir() and any(path.glob("*/manifest.json"))
    }


def list_pretrained() -> list[str]:
    """Returns the names of the trained models that come with tonezoo.

    Example:

    >>> list_pretrained()
    ['band_extender_speech_x2', 'band_extender_speech_x4', 'demucs_small_music', 'mu_gan_speech_x4']
    """
    return list(shipped_models())


def model_folder(model: str | os.PathLike) -> Path:
    """Returns the folder of a model: `model` itself, or the shipped model of that name.

    A folder that exists wins over a shipped model.

    Raises:
        ValueError: neither; the message lists the shipped models.
    """
    path = Path(model)
    if path.exists():
        return path
    shipped = shipped_models()
    if str(model) not in shipped:
        raise ValueError(
            f"There is no model at {path}. Give the folder of an exported model or a run, or the "
            f"name of a model that comes with tonezoo: {', '.join(shipped)}."
        )
    return shipped[str(model)]


def load(path: str | os.PathLike) -> "Engine":
    """Loads a model to run it on audio: an exported one (its files checked first), or a run's.

    Args:
        path: an exported model's folder (its newest version is taken), one of its versions, a run's
            folder, or the name of a model that comes with tonezoo.

    Returns:
        The engine of its task: a `tonezoo.tasks.super_resolution.engine.SuperResolver` with
        `enhance` and `stream`, a `tonezoo.tasks.separation.engine.Separator` with `separate` and
        `stream`, or a `tonezoo.tasks.vocoding.engine.Vocoder` with `vocode`, `copy_synthesis` and
        `mel`.

    Raises:
        ValueError: nothing usable there, or a file that is missing or changed, by name.

    Example:

    >>> resolver = load("mu_gan_speech_x4")
    >>> resolver.low_rate_hz, resolver.sample_rate_hz
    (4000.0, 16000)
    """
    from tonezoo.recipes.runs import RunFolder, is_run
    from tonezoo.tasks import find_task

    if is_run(path):
        model = RunFolder(path).model()
        task = find_task(model.task)
        call, facts = compiled_call(model), task.model_facts(model)
        return task.engine(call, facts, Path(path).resolve().name)
    from tonezoo.serving.manifest import resolve_version
    from tonezoo.serving.verify import read_exported, serving_function

    folder = resolve_version(path)
    manifest, task, facts = read_exported(folder)
    name = f"{manifest['name']} {manifest['version']}"
    return task.engine(serving_function(folder, task, facts), facts, name)


def compiled_call(model) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a Keras model as a NumPy function; TensorFlow compiles it once for all lengths."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return lambda samples: keras.ops.convert_to_numpy(model(samples, training=False))
    import tensorflow as tf

    from tonezoo.serving.verify import with_explained_errors

    waveform = tf.TensorSpec((None, None, model.channels), tf.float32)

    @tf.function(input_signature=[waveform])
    def function(samples):
        return model(samples, training=False)

    return with_explained_errors(lambda samples: function(samples).numpy(), "The model")


_engines: dict[tuple, "Engine"] = {}


def engine_for(
    task: str,
    model: "str | os.PathLike | Engine | Callable[[float | None], Engine] | None" = None,
    sample_rate_hz: float | None = None,
) -> Any:
    """Returns the engine of a task for a model, which is loaded once.

    A model that was exported anew or trained further since is loaded again.

    Args:
        task: name of the task.
        model: an engine, what gives one for a sample rate, or what `load` takes; None for the
            task's default.
        sample_rate_hz: of the signal that it is for; a task may have a default for each rate.

    Raises:
        ValueError: an unusable model, or one of another task.
    """
    from tonezoo.tasks import find_task

    wanted = find_task(task)
    if model is None and wanted.default_models:
        model = wanted.default_model(sample_rate_hz)
    if callable(model):
        model = model(sample_rate_hz)
    if not isinstance(model, str | os.PathLike):
        if model is None or not hasattr(model, "task"):
            raise ValueError(
                f"model is a {type(model).__name__}. Give a name, a folder, or what tonezoo.load "
                "returned."
            )
        return wanted.check(model)
    key = _state(model_folder(model))
    if key not in _engines:
        engine = load(model)
        while len(_engines) >= KEPT_ENGINES:
            del _engines[next(iter(_engines))]
        _engines[key] = engine
    return wanted.check(_engines[key])


def _state(path: Path) -> tuple:
    """Returns what changes with the model in a folder: the file written last, and when."""
    from tonezoo.recipes.runs import CHECKPOINT_NAME, is_run
    from tonezoo.serving.manifest import MANIFEST_NAME, resolve_version

    file = path / CHECKPOINT_NAME if is_run(path) else resolve_version(path) / MANIFEST_NAME
    written = file.stat() if file.exists() else None
    stamp = (written.st_mtime_ns, written.st_size, written.st_ino) if written else ()
    return (os.path.realpath(file), *stamp)


def from_pretrained(model: str | os.PathLike) -> "keras.Model":
    """Returns a built Keras model with its trained weights, to fine-tune or to take apart.

    Args:
        model: the name of a model that comes with tonezoo (`list_pretrained()`), the folder of an
            exported model, one of its versions, a training run, or a `.keras` file of a model of
            tonezoo.

    Returns:
        The `keras.Model` of `create_model`: a `MuGanGenerator`, a `Demucs`, ...

    Raises:
        ValueError: nothing usable there, or a file of something else.

    Example:

    >>> model = from_pretrained("mu_gan_speech_x4")
    >>> model.ratio, model.count_params()
    (4, 1162464)
    """
    if Path(model).suffix == SUFFIX:
        return _from_keras_file(Path(model))
    from tonezoo.recipes.trained import trained_model

    return trained_model(model)


def _from_keras_file(path: Path) -> "keras.Model":
    from tonezoo.models.base import AudioModel

    model = load_keras_model(path)
    if not isinstance(model, AudioModel):
        raise ValueError(
            f"{path} holds a {type(model).__name__}, which is no audio model of tonezoo. Load it "
            "with keras.saving.load_model."
        )
    return model
