"""TensorFlow Serving's gRPC services, on its own stubs."""

import logging
from collections.abc import Callable, Mapping

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from tonezoo.serving.server.errors import RequestError, invalid
from tonezoo.serving.server.loading import LoadedVersion
from tonezoo.serving.server.metrics import Metrics
from tonezoo.serving.server.models import ModelStore
from tonezoo.serving.server.options import ServingOptions
from tonezoo.serving.server.prediction import PredictionRequest, Predictor
from tonezoo.serving.server.signatures import STRING, Signature, type_name

SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")
METADATA_FIELD = "signature_def"
AGES_S = 10**7
log = logging.getLogger(__name__)


class PredictionServicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata."""

    def __init__(
        self,
        store: ModelStore[LoadedVersion],
        predictor: Predictor,
        metrics: Metrics,
        options: ServingOptions,
    ):
        self._store, self._predictor, self._metrics = store, predictor, metrics
        self._max_samples = options.max_samples

    def Predict(self, request, context):
        def answer():
            counted = self._metrics.request(request.model_spec.name, "grpc", self._store)
            with counted, self._predictor.place():
                return self._predict(request, context)

        return answered(answer, context)

    def _predict(self, request, context):
        name, version = asked_for(request)
        submitted = self._predictor.submit(
            PredictionRequest(
                model=name,
                version=version,
                signature=request.model_spec.signature_name,
                output_filter=request.output_filter,
                timeout_s=timeout_s(context),
                read_inputs=lambda signature: read_tensors(
                    request.inputs, signature, self._max_samples
                ),
            )
        )
        # A client that hangs up leaves nothing to compute.
        context.add_callback(submitted.future.cancel)
        outputs = submitted.outputs(timeout_s(context))
        response = predict_pb2.PredictResponse()
        response.model_spec.name = submitted.model
        response.model_spec.version.value = submitted.version
        response.model_spec.signature_name = submitted.signature
        for key, array in outputs.items():
            write_tensor(array, response.outputs[key])
        return response

    def GetModelMetadata(self, request, context):
        def answer():
            name, number = asked_for(request)
            if set(request.metadata_field) != {METADATA_FIELD}:
                raise invalid(
                    f"metadata_field is {list(request.metadata_field)}, but has to be "
                    f"{METADATA_FIELD}."
                )
            version = self._store.find(name, number)
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            response.model_spec.name = name
            response.model_spec.version.value = version.number
            definitions = get_model_metadata_pb2.SignatureDefMap()
            for key, definition in version.signature_defs.items():
                definitions.signature_def[key].CopyFrom(definition)
            response.metadata[METADATA_FIELD].Pack(definitions)
            return response

        return answered(answer, context)


class ModelServicer(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus."""

    def __init__(self, store: ModelStore[LoadedVersion]):
        self._store = store

    def GetModelStatus(self, request, context):
        def answer():
            response = get_model_status_pb2.GetModelStatusResponse()
            for number, status in self._store.status(*asked_for(request)).items():
                told = response.model_version_status.add(version=number)
                told.state = get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
                told.status.error_code = status.code.number
                told.status.error_message = status.message
            return response

        return answered(answer, context)


def answered(answer: Callable, context):
    """Returns what `answer` returns; what it raises becomes a status of gRPC."""
    try:
        return answer()
    except RequestError as error:
        context.abort(grpc.StatusCode[error.code.name], error.message)
    except Exception:
        log.exception("An error of the server's own")
        context.abort(grpc.StatusCode.INTERNAL, "An error of the server's own: see its log.")


def timeout_s(context) -> float | None:
    """Returns for how long a client still waits, None for as long as it takes."""
    left = context.time_remaining()
    # gRPC may say "no deadline" by one that is ages away.
    return None if left is None or left > AGES_S else left


def asked_for(request) -> tuple[str, int | None]:
    """Returns name and version of the model that a request is for, None for the newest.

    Raises:
        RequestError: INVALID_ARGUMENT.
    """
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec: set model_spec.name.")
    spec: model_pb2.ModelSpec = request.model_spec
    if spec.HasField("version_label"):
        raise invalid(
            f"Unrecognized servable version label: {spec.version_label}. This server has no "
            "labels; name a version, or none for the newest."
        )
    return spec.name, spec.version.value if spec.HasField("version") else None


def read_tensors(
    protos: Mapping[str, tensor_pb2.TensorProto], signature: Signature, max_samples: int
) -> dict[str, np.ndarray]:
    """Returns the inputs of a signature as arrays.

    Raises:
        RequestError: INVALID_ARGUMENT; a tensor that is missing, not of the signature, of another
            type or shape, or with more or less in it than its shape says.
    """
    signature.check_names(protos)
    return {
        name: read_tensor(name, proto, signature, max_samples) for name, proto in protos.items()
    }


def read_tensor(
    name: str, proto: tensor_pb2.TensorProto, signature: Signature, max_samples: int
) -> np.ndarray:
    try:
        dtype = np.dtype(tf.dtypes.as_dtype(proto.dtype).as_numpy_dtype)
    except TypeError as error:
        raise invalid(f"The input {name} has no type that TensorFlow knows: {error}.") from error
    if proto.tensor_shape.unknown_rank:
        raise invalid(f"The input {name} has a shape of unknown rank.")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    # Before anything is made of it: a shape alone can ask for any amount of memory.
    signature.check_input(name, dtype, shape, max_samples)
    count = int(np.prod(shape, dtype=np.int64))
    content = proto.tensor_content
    if content:
        if dtype == STRING or len(content) != count * dtype.itemsize:
            raise invalid(
                f"The input {name} has {len(content):,} bytes of tensor_content, which does not "
                f"fit {type_name(dtype)} of the shape {shape}."
            )
        return np.frombuffer(content, dtype).reshape(shape)
    try:
        return np.asarray(tf.make_ndarray(proto), dtype).reshape(shape)
    except (ValueError, TypeError, IndexError) as error:
        raise invalid(f"The values of the input {name} do not fit its shape {shape}.") from error


def write_tensor(array: np.ndarray, proto: tensor_pb2.TensorProto) -> None:
    """Writes an array into a TensorProto, numbers as raw content."""
    proto.CopyFrom(tensor_pb2.TensorProto(dtype=tf.dtypes.as_dtype(array.dtype).as_datatype_enum))
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    if array.dtype == STRING:
        proto.string_val.extend(array.ravel())
    else:
        proto.tensor_content = array.tobytes()
