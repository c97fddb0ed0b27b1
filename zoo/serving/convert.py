"""An exported model for ONNX Runtime and LiteRT, compared with its SavedModel."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tonezoo.extras import import_extra
from tonezoo.tasks import find_task

FILES = {"onnx": "model.onnx", "litert": "model.tflite"}
PACKAGES = {"onnx": ("tf2onnx", "onnxruntime"), "litert": ("ai_edge_litert.interpreter",)}
# Of full scale, 1: 80 dB below it.
TOLERANCE = 1e-4
FOURIER = dict.fromkeys(("RFFT", "IRFFT"), "the Fourier transform")
LOOP = dict.fromkeys(("While", "StatelessWhile"), "the loop of an LSTM over a signal of any length")
# Operations that the converters or runtimes lack, by what they are for.
LACKING = {"onnx": FOURIER, "litert": FOURIER | LOOP}


def check_formats(formats: Sequence[str]) -> None:
    """Raises ValueError unless formats are different and known."""
    unknown = sorted(set(formats) - set(FILES))
    if unknown or len(set(formats)) < len(formats):
        raise ValueError(
            f"The formats are {', '.join(formats)}. Give {' or '.join(FILES)}, or both with a "
            "comma between them; the SavedModel is written in any case."
        )


def write_formats(
    model, folder: Path, formats: Sequence[str], call: Callable[[np.ndarray], np.ndarray]
) -> dict[str, dict]:
    """Writes a model in other formats beside its SavedModel, and compares what they compute.

    Args:
        model: a built Keras model in float32.
        folder: of the version.
        formats: some of `FILES`.
        call: the SavedModel.

    Returns:
        format -> its file, and the largest difference from the SavedModel, full scale being 1.

    Raises:
        ValueError: a format that cannot express the model, or whose output differs by more than
            `TOLERANCE`; names what it is.
        ImportError: the extra `convert` is not installed.
    """
    operations = operations_of(model) if formats else set()
    written = {}
    for name in formats:
        lacking = {word for op, word in LACKING[name].items() if op in operations}
        if lacking:
            raise ValueError(
                f"{type(model).__name__} cannot be written as {name}, which lacks "
                f"{', '.join(sorted(lacking))}. Leave {name} out of the formats."
            )
        path = folder / FILES[name]
        for package in PACKAGES[name]:
            import_extra(package, "convert", f"The format {name} needs")
        try:
            difference = largest_difference(convert(model, path, name), model, call)
        # What converters and runtimes raise has no common base class.
        except Exception as error:
            reason = str(error).partition("\n")[0]
            raise ValueError(
                f"{type(model).__name__} cannot be written as {name}: {reason} Leave {name} out of "
                "the formats."
            ) from error
        if not difference <= TOLERANCE:
            raise ValueError(
                f"{type(model).__name__} as {name} differs from the SavedModel by "
                f"{difference:.3g} of full scale (allowed: {TOLERANCE:g}). Leave {name} out of the "
                "formats."
            )
        written[name] = {"file": path.name, "largest_difference": difference}
    return written


def operations_of(model) -> set[str]:
    """Returns the names of the operations in the graph of a model's call."""
    import tensorflow as tf

    spec = tf.TensorSpec((None, None, model.channels), tf.float32)
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(spec).graph
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    return {node.op for node in nodes}


def convert(model, path: Path, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """Writes a model in a format; returns it as the format's runtime computes it."""
    import keras

    input_name = find_task(model.task).inference_input
    spec = keras.InputSpec(shape=(None, None, model.channels), dtype="float32", name=input_name)
    model.export(str(path), format=name, input_signature=[spec], verbose=False)
    return {"onnx": onnx_call, "litert": litert_call}[name](path)


def onnx_call(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns an ONNX model of one input and one output as a NumPy function."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda signal: session.run(None, {given.name: signal})[0]


def litert_call(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a LiteRT model of one input and one output as a NumPy function of any shape."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    (given,), (taken,) = interpreter.get_input_details(), interpreter.get_output_details()

    def call(signal: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(given["index"], signal.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], signal)
        interpreter.invoke()
        return interpreter.get_tensor(taken["index"])

    return call


def largest_difference(converted, model, call) -> float:
    """Returns the largest difference of two functions on noise of two lengths and batches."""
    from tonezoo.serving.export import golden_input

    noise = golden_input(model)
    differences = []
    for signal in (noise, noise[:1, : 1 + noise.shape[1] // 2]):
        output, expected = converted(signal), call(signal)
        if output.shape != expected.shape:
            return float("inf")
        differences.append(np.abs(output - expected).max())
    return float(max(differences))
