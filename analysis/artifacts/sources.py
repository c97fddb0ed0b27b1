"""What can be measured: Keras models and SavedModels, as functions, and audio files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tonezoo.analysis.artifacts.probing import SEPARATION_RMS, SIGNALS, ProbedModel
from tonezoo.analysis.artifacts.report import ArtifactReport, measure_audio, measure_model
from tonezoo.audio.reader import read_audio
from tonezoo.keras_files import SUFFIX
from tonezoo.model_sources import find_keras_model
from tonezoo.serving.manifest import MANIFEST_NAME, versions

GRAPH_NAME = "saved_model.pb"
DEFAULT_RATE_HZ = 16_000
# Of a recording that is put into a model.
LONGEST_S = 30


def measure(
    target: str | os.PathLike,
    *,
    inputs: Sequence[str] = SIGNALS,
    periods: Sequence[int] = (),
    sample_rate_hz: float | None = None,
) -> ArtifactReport:
    """Measures the artifacts of a model, or the lines in an audio file.

    Args:
        target: an audio file, or what `find_model` takes.
        inputs: for a model: of "silence", "ones" and "noise", and audio files, of which the first
            30 s count.
        periods: of the lines, in output samples; by default those of the model's upsampling
            layers, and for audio whatever combs there are.
        sample_rate_hz: see `find_model`.

    Raises:
        ValueError: as `find_model`, `measure_model` and `measure_audio`; an input that is neither
            a signal's name nor an audio file.

    Example: the spectrogram of silence, through MelGAN with random weights.

    >>> import keras
    >>> keras.utils.set_random_seed(0)
    >>> report = measure("mel_gan:tiny", inputs=["silence"])
    >>> report.periods, {finding.artifact for finding in report.layers}, report.line_db > 20
    ((2, 4, 32, 256), {'tonal'}, True)
    """
    path = Path(target)
    if path.is_file() and path.suffix != SUFFIX:
        audio, rate_hz = read_audio(path)
        return measure_audio(path.name, audio, rate_hz, periods)
    wrong = [name for name in inputs if name not in SIGNALS and not Path(name).is_file()]
    if wrong:
        raise ValueError(
            f"Inputs are {', '.join(SIGNALS)} and audio files. There is no file {', '.join(wrong)}."
        )
    recordings = {}
    for name in inputs:
        if name not in SIGNALS:
            audio, rate_hz = read_audio(name)
            recordings[name] = (audio[: LONGEST_S * rate_hz], rate_hz)
    return measure_model(
        find_model(target, sample_rate_hz),
        inputs=[name for name in inputs if name in SIGNALS],
        recordings=recordings,
        periods=periods,
    )


def find_model(source: str | os.PathLike, sample_rate_hz: float | None = None) -> ProbedModel:
    """Returns the model that a name or a path stands for, to be measured.

    Args:
        source: what `tonezoo.model_sources.find_keras_model` takes, or the folder of a SavedModel
            of anyone's, whose graph is run as it is: load only what you trust.
        sample_rate_hz: of the output; None for what the model states, or 16,000.

    Raises:
        ValueError: no model there, or none with one input (batch, time, channels).
    """
    path = Path(source)
    ours = (path / MANIFEST_NAME).is_file() or bool(path.is_dir() and versions(path))
    if (path / GRAPH_NAME).is_file() and not ours:
        return saved_model(path, sample_rate_hz or DEFAULT_RATE_HZ)
    return keras_model(find_keras_model(source), os.fspath(source), sample_rate_hz)


def keras_model(model, name: str | None = None, sample_rate_hz: float | None = None) -> ProbedModel:
    """Returns a Keras model to be measured.

    Args:
        model: of one input (batch, time, channels) and one output or several of these.
        name: for titles; None for the model's.
        sample_rate_hz: of the output; None for what the model states, or 16,000.

    Raises:
        ValueError: another input.
    """
    from keras import ops

    name = name or model.name
    length, channels = _input_shape(model, name)
    task = getattr(model, "task", None)
    rate_hz = sample_rate_hz
    if rate_hz is None:
        rate_hz = getattr(model, "sample_rate_hz", DEFAULT_RATE_HZ)

    def features(audio: np.ndarray) -> np.ndarray:
        return ops.convert_to_numpy(model.front_end(audio))

    return ProbedModel(
        name=name,
        call=_compiled(model, length, channels),
        channels=channels,
        sample_rate_hz=rate_hz,
        input_samples=length,
        features=features if task == "vocoding" else None,
        model=model,
        **({"noise_rms": SEPARATION_RMS} if task == "separation" else {}),
    )


def _compiled(model, length: int | None, channels: int) -> Callable:
    """Returns a model as a function, which TensorFlow compiles once for all lengths."""
    import keras

    def call(inputs):
        return model(inputs, training=False)

    if keras.backend.backend() != "tensorflow":
        return call
    import tensorflow as tf

    return tf.function(call, input_signature=[tf.TensorSpec((1, length, channels), tf.float32)])


def _input_shape(model, name: str) -> tuple[int | None, int]:
    """Returns the length, None for any, and the channels of a model's input."""
    if hasattr(model, "channels") and hasattr(model, "task"):
        return None, model.channels
    # A subclass of keras.Model knows the shape that it was built with alone.
    shape = getattr(model, "input_shape", None) or (model.get_build_config() or {}).get(
        "input_shape"
    )
    if isinstance(shape, list | dict) or shape is None or len(shape) not in (2, 3):
        raise ValueError(
            f"{name} takes {shape if shape is not None else 'an unknown shape'}, but models with "
            "one input (batch, time, channels) are measured. Wrap it in one that has, or build it."
        )
    if len(shape) == 2 or shape[2] is None:
        raise ValueError(
            f"{name} takes {shape}; the input has to be (batch, time, channels), with a known "
            "number of channels. Add a layer before it that makes one of the other."
        )
    return shape[1], shape[2]


def saved_model(folder: Path, sample_rate_hz: float) -> ProbedModel:
    """Returns a SavedModel of anyone's to be measured.

    Raises:
        ValueError: it cannot be loaded, or has no signature of one input (batch, time, channels).
    """
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
    # What TensorFlow raises for a file that it cannot read has no common base class.
    except Exception as error:
        raise ValueError(f"{folder} cannot be loaded as a SavedModel: {error}") from error
    for signature in loaded.signatures.values():
        specs = list(signature.structured_input_signature[1].items())
        if len(specs) == 1 and specs[0][1].dtype.is_floating and specs[0][1].shape.rank == 3:
            key, spec = specs[0]
            break
    else:
        raise ValueError(
            f"{folder} has no signature of one input (batch, time, channels), of which there are "
            f"{', '.join(loaded.signatures) or 'none'}. Export one, as model.export does."
        )
    name, (_, length, channels) = str(folder), spec.shape.as_list()

    def call(inputs: np.ndarray):
        # The signature lives as long as what it was loaded with.
        assert loaded is not None
        return signature(**{key: tf.constant(inputs, spec.dtype)})

    return ProbedModel(
        name=name,
        call=call,
        channels=channels or 1,
        sample_rate_hz=sample_rate_hz,
        input_samples=length,
    )
