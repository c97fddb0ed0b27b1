"""The messages of TensorFlow Serving's Predict as bytes, without TensorFlow.

The official stubs, tensorflow-serving-api, need TensorFlow. A message on the wire has the numbers
of its fields, not their names: those here are of tensorflow/core/framework/tensor.proto and
tensorflow_serving/apis/{model,predict}.proto, as far as a client needs them. Floats are declared as
bytes, which is how they are packed, so that none becomes a number of Python's on its way.
"""

from collections.abc import Mapping

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "tonezoo.serving"
# Message -> fields: (number, name, type), a type being a scalar's, a message's, or of a map's
# values; repeated ones end in "*", values of a map from strings in "{}".
MESSAGES = {
    "Dimension": [(1, "size", "int64")],
    "Shape": [(2, "dim", "Dimension*")],
    "Tensor": [
        (1, "dtype", "int32"),
        (2, "tensor_shape", "Shape"),
        (4, "tensor_content", "bytes"),
        (5, "float_val", "bytes*"),
        (8, "string_val", "bytes*"),
    ],
    "Version": [(1, "value", "int64")],
    "ModelSpec": [
        (1, "name", "string"),
        (2, "version", "Version"),
        (3, "signature_name", "string"),
    ],
    "PredictRequest": [(1, "model_spec", "ModelSpec"), (2, "inputs", "Tensor{}")],
    "PredictResponse": [(1, "outputs", "Tensor{}"), (2, "model_spec", "ModelSpec")],
}
# Of tensorflow/core/framework/types.proto.
FLOAT, INT32, STRING = 1, 3, 7


def _classes() -> dict:
    """Returns the classes of `MESSAGES` by name, in a pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(
        name="tonezoo/serving.proto", package=PACKAGE, syntax="proto3"
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            _add_field(message, number, field, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }


def _add_field(message, number, name, kind):
    types = descriptor_pb2.FieldDescriptorProto
    field = message.field.add(name=name, number=number, label=types.LABEL_OPTIONAL)
    plain = kind.rstrip("*{}")
    if kind != plain:
        field.label = types.LABEL_REPEATED
    if kind.endswith("{}"):
        # A map is a repeated message of a key and a value.
        entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        _add_field(entry, 1, "key", "string")
        _add_field(entry, 2, "value", plain)
        plain = f"{message.name}.{entry.name}"
    if plain[0].isupper():
        field.type, field.type_name = types.TYPE_MESSAGE, f".{PACKAGE}.{plain}"
    else:
        field.type = getattr(types, f"TYPE_{plain.upper()}")


CLASSES = _classes()
PredictResponse = CLASSES["PredictResponse"]


def predict_request(
    model: str, version: int | None, signature: str, inputs: Mapping[str, np.ndarray]
):
    """Returns a PredictRequest.

    Args:
        model: its name.
        version: None for the newest.
        signature: its name.
        inputs: float32, int32, or objects that are bytes.
    """
    request = CLASSES["PredictRequest"]()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    for name, array in inputs.items():
        fill_tensor(request.inputs[name], array)
    return request


def fill_tensor(tensor, array: np.ndarray) -> None:
    """Puts an array into a Tensor, one of the types of `predict_request`."""
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == object:
        tensor.dtype = STRING
        tensor.string_val.extend(array.ravel())
        return
    tensor.dtype, wire_type = (FLOAT, "<f4") if array.dtype == np.float32 else (INT32, "<i4")
    tensor.tensor_content = array.astype(wire_type, copy=False).tobytes()


def to_array(tensor) -> np.ndarray:
    """Returns the array in a Tensor, float32, or objects that are bytes.

    Raises:
        ValueError: it is of another type, or holds more values than its shape has.
    """
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    values: np.ndarray
    if tensor.dtype == STRING:
        values = np.array([*tensor.string_val], object)
    elif tensor.dtype == FLOAT:
        content = tensor.tensor_content or b"".join(tensor.float_val)
        values = np.frombuffer(content, "<f4")
    else:
        raise ValueError(
            f"The server sent a tensor of type {tensor.dtype}; models of tonezoo give floats "
            f"({FLOAT}) and strings ({STRING})."
        )
    count = int(np.prod(shape))
    # Equal values at the end may be left out.
    if 0 < len(values) < count:
        values = np.append(values, np.repeat(values[-1:], count - len(values)))
    if len(values) != count:
        raise ValueError(f"The server sent {len(values)} values of a tensor of shape {shape}.")
    return values.reshape(shape)
