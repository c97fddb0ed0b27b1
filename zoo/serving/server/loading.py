"""A version of a model in memory: its signatures, and what computes them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from tonezoo.serving.server.batching import Arrays, Batcher
from tonezoo.serving.server.errors import Code, RequestError
from tonezoo.serving.server.options import ServingOptions
from tonezoo.serving.server.signatures import Signature, TensorSpec
from tonezoo.serving.verify import load_verified

# How lines of TensorFlow's messages begin that tell where in the graph it was.
WHERE = ("Graph execution error", "Detected at node", "<stack traces", "[[{{")
DEFAULT_SIGNATURE = "serving_default"
SignatureDefs = dict[str, meta_graph_pb2.SignatureDef]


class LoadedVersion:
    """A version of a model that passed `verify`, with the thread that computes its requests.

    Args:
        name: of the model, by which it is served: that of its folder.
        number: of the version.
        folder: of the version.
        options: of the server.
        observe: observe(name, signals, seconds) is told of each batch.

    Raises:
        ValueError: it does not pass, see `tonezoo.serving.verify.verify`.
    """

    def __init__(
        self,
        name: str,
        number: int,
        folder: Path,
        options: ServingOptions,
        observe: Callable[[str, int, float], None],
    ):
        self.name, self.number = name, number
        _, self._loaded = load_verified(folder)
        self.signature_defs = read_signature_defs(folder)
        owner = f"{name} {number}"
        self._signatures = {
            key: Signature(
                name=key,
                owner=owner,
                inputs=tensor_specs(self.signature_defs[key].inputs),
                outputs=tensor_specs(self.signature_defs[key].outputs),
            )
            for key in self._loaded.signatures
        }
        self.batcher = Batcher(
            max_signals=options.max_batch_size,
            max_samples=options.max_samples,
            wait_s=options.batch_timeout_ms / 1000,
            observe=partial(observe, name),
        )

    def signature(self, name: str = "") -> Signature:
        """Returns a signature; the default one for "".

        Raises:
            RequestError: FAILED_PRECONDITION, as from TensorFlow Serving; names those there are.
        """
        name = name or DEFAULT_SIGNATURE
        if name not in self._signatures:
            raise RequestError(
                Code.FAILED_PRECONDITION,
                f'Serving signature key "{name}" not found. {self.name} {self.number} has the '
                f"signatures {', '.join(sorted(self._signatures))}.",
            )
        return self._signatures[name]

    def function(self, name: str) -> Callable[[Arrays], Arrays]:
        """Returns what computes a signature, from input arrays to output arrays."""
        return partial(run, self._loaded.signatures[name])

    def close(self) -> None:
        self.batcher.close()


def run(function, inputs: Arrays) -> Arrays:
    """Computes a signature.

    Raises:
        RequestError: with the code of TensorFlow's error, such as INVALID_ARGUMENT for a WAV file
            that it does not read.
    """
    try:
        outputs = function(**{name: tf.constant(array) for name, array in inputs.items()})
        return {name: output.numpy() for name, output in outputs.items()}
    except tf.errors.OpError as error:
        raise RequestError(Code.of_number(error.error_code), reason(error)) from error


def reason(error) -> str:
    """Returns what an operation of TensorFlow says is wrong, without where in the graph it is."""
    lines = [line.strip() for line in error.message.splitlines()]
    told = " ".join(line for line in lines if not line.startswith(WHERE))
    return told.strip() or error.message


def read_signature_defs(folder: Path) -> SignatureDefs:
    """Returns the signatures of a SavedModel as TensorFlow Serving tells them in its metadata."""
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    # Copies: the graph, which is large, is let go.
    return {
        name: meta_graph_pb2.SignatureDef.FromString(definition.SerializeToString())
        for name, definition in saved.meta_graphs[0].signature_def.items()
    }


def tensor_specs(infos) -> dict[str, TensorSpec]:
    """Returns name -> specification of the inputs or outputs of a SignatureDef."""
    specs = {}
    for name, info in infos.items():
        sizes = (dim.size for dim in info.tensor_shape.dim)
        shape = tuple(None if size < 0 else size for size in sizes)
        specs[name] = TensorSpec(
            dtype=np.dtype(tf.dtypes.as_dtype(info.dtype).as_numpy_dtype),
            shape=None if info.tensor_shape.unknown_rank else shape,
        )
    return specs
