"""The client's messages are TensorFlow Serving's on the wire."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import predict_pb2

from tonezoo.serving.client import messages

INPUTS = {
    "waveform": np.arange(6, dtype="float32").reshape(1, 3, 2) - 0.5,
    "lengths": np.array([3, -1], "int32"),
    "audio_bytes": np.array([b"RIFF\0", b""], object),
}


@pytest.mark.parametrize("version", [None, 3])
def test_a_request_is_read_by_the_official_stubs(version):
    request = messages.predict_request("name", version, "with_lengths", INPUTS)
    official = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    spec = official.model_spec
    assert (spec.name, spec.signature_name) == ("name", "with_lengths")
    assert spec.HasField("version") == (version is not None)
    assert spec.version.value == (version or 0)
    assert set(official.inputs) == set(INPUTS)
    for name, array in INPUTS.items():
        np.testing.assert_array_equal(tf.make_ndarray(official.inputs[name]), array)
    assert official.inputs["waveform"].tensor_content and not official.inputs["waveform"].float_val
    # No field is lost or unknown: what the stubs write again is the same.
    assert official.ByteSize() == len(request.SerializeToString())
    again = messages.CLASSES["PredictRequest"].FromString(official.SerializeToString())
    assert again == request


def test_answers_of_the_official_stubs_are_read():
    official = predict_pb2.PredictResponse()
    official.model_spec.version.value = 7
    array = INPUTS["waveform"]
    official.outputs["content"].CopyFrom(tf.make_tensor_proto(array))
    for name, values in (("packed", array.ravel()), ("equal", [2.0]), ("none", [])):
        tensor = official.outputs[name]
        tensor.dtype = tf.float32.as_datatype_enum
        tensor.float_val.extend(values)
        shape = (1, 0, 1) if name == "none" else array.shape
        tensor.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    official.outputs["text"].CopyFrom(tf.make_tensor_proto([b"a", b""]))
    response = messages.PredictResponse.FromString(official.SerializeToString())
    read = {name: messages.to_array(tensor) for name, tensor in response.outputs.items()}
    np.testing.assert_array_equal(read["content"], array)
    np.testing.assert_array_equal(read["packed"], array)
    np.testing.assert_array_equal(read["equal"], np.full_like(array, 2))
    assert read["none"].shape == (1, 0, 1) and read["packed"].dtype == np.float32
    assert read["text"].tolist() == [b"a", b""]


def test_answers_of_another_kind_are_refused():
    for proto, message in (
        (tf.make_tensor_proto(np.zeros(2)), "a tensor of type 2"),
        (tensor_pb2.TensorProto(dtype=1, float_val=[1, 2, 3]), r"3 values of a tensor of shape"),
    ):
        tensor = messages.CLASSES["Tensor"].FromString(proto.SerializeToString())
        with pytest.raises(ValueError, match=message):
            messages.to_array(tensor)
