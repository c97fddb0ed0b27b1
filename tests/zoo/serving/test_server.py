"""The server as clients of TensorFlow Serving see it: gRPC, REST, health, metrics, versions."""

import base64
import contextlib
import dataclasses
import functools
import http.client
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from untrained_export import change_golden

from tonezoo.pretrained import shipped_models
from tonezoo.serving.server import Server, ServingOptions, loading

MODEL, RATIO = "mu_gan_speech_x4", 4
OPTIONS = ServingOptions(max_samples=20_000, max_message_mib=1, queue_size=16, poll_s=60)


class Client:
    """The stubs and the REST base of a server."""

    def __init__(self, port, rest_port):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        self.base = f"http://127.0.0.1:{rest_port}"

    def predict(self, request, **options):
        return self.prediction.Predict(request, timeout=30, **options)

    def rest(self, path, body=None) -> tuple[int, dict]:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        try:
            with urllib.request.urlopen(self.base + path, data, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def upload(self, body: bytes, length: int | None = None) -> http.client.HTTPConnection:
        """Begins a request of a length, the body's if none is given, that is not waited for."""
        connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=30)
        connection.putrequest("POST", "/v1/models/enhance:predict")
        connection.putheader("Content-Length", str(length or len(body)))
        connection.endheaders(body)
        return connection

    def waiting(self) -> float:
        return self.metrics()['tonezoo_queue_requests{model="enhance"}']

    def counted(self, protocol, before=None) -> dict[str, float]:
        """Status -> number of requests for the model, those counted before left out."""
        found = {}
        for name, value in self.metrics().items():
            start = f'tonezoo_requests_total{{model="enhance",protocol="{protocol}",status="'
            if name.startswith(start):
                status = name.removeprefix(start).removesuffix('"}')
                found[status] = value - (before or {}).get(status, 0)
        return {status: count for status, count in found.items() if count}

    def metrics(self) -> dict[str, float]:
        with urllib.request.urlopen(f"{self.base}/monitoring/prometheus/metrics") as answer:
            lines = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines()]
        return {name: float(value) for name, value in lines if not name.startswith("#")}


@pytest.fixture(autouse=True)
def reproducible():
    """Seeds nothing, as nothing here draws from the global generators.

    With each new seed TensorFlow forgets the functions that it has prepared, and takes longer to
    prepare them than to compute all that the tests ask for.
    """


load_once = functools.cache(loading.load_verified)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for name, source in (("enhance", MODEL), ("separate", "demucs_small_music")):
        (root / name).symlink_to(shipped_models()[source])
    return root


@pytest.fixture(scope="module")
def server(root):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loading, "load_verified", load_once)
        with Server(root, port=0, rest_port=0, options=OPTIONS) as server:
            yield server


@pytest.fixture(scope="module")
def client(server):
    client = Client(server.port, server.rest_port)
    yield client
    client.channel.close()


@pytest.fixture(scope="module")
def golden():
    """Two signals, and the output of the Keras model at export."""
    with np.load(shipped_models()[MODEL] / "1" / "golden.npz") as arrays:
        return arrays["input"], arrays["output"]


def request(model="enhance", version=None, signature="", filter=(), **inputs):
    made = predict_pb2.PredictRequest(output_filter=filter)
    made.model_spec.name, made.model_spec.signature_name = model, signature
    if version is not None:
        made.model_spec.version.value = version
    for name, value in inputs.items():
        proto = value if hasattr(value, "tensor_shape") else tf.make_tensor_proto(value)
        made.inputs[name].CopyFrom(proto)
    return made


def proto(**fields):
    """A TensorProto whose dims are given by `shape`."""
    shape = fields.pop("shape", None)
    made = tensor_pb2.TensorProto(**fields)
    if shape is not None:
        for size in shape:
            made.tensor_shape.dim.add(size=size)
    return made


WAVEFORM = np.zeros((1, 8, 1), "float32")


def test_predict_gives_what_the_model_gave_at_export(client, golden):
    waveform, expected = golden
    answer = client.predict(request(waveform=waveform))
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("enhance", 1, "serving_default")
    assert list(answer.outputs) == ["waveform"]
    np.testing.assert_allclose(
        tf.make_ndarray(answer.outputs["waveform"]), expected, rtol=0, atol=1e-5
    )


def test_values_in_any_of_the_fields_that_tensors_have_are_read(client):
    # As from a client that does not write raw content; a single value stands for all that follow.
    ones = client.predict(request(waveform=np.ones_like(WAVEFORM)))
    for values in ([1.0] * 8, [1.0]):
        tensor = proto(dtype=1, shape=(1, 8, 1), float_val=values)
        assert client.predict(request(waveform=tensor)) == ones
    zeros = client.predict(request(waveform=WAVEFORM))
    assert client.predict(request(waveform=proto(dtype=1, shape=(1, 8, 1)))) == zeros


def test_rest_answers_by_rows_and_columns(client, golden):
    waveform, _ = golden
    short = waveform[:, :50].tolist()
    code, rows = client.rest("/v1/models/enhance:predict", {"instances": short})
    assert code == 200 and np.shape(rows["predictions"]) == (2, 50 * RATIO, 1)
    code, columns = client.rest("/v1/models/enhance/versions/1:predict", {"inputs": short})
    assert (code, columns) == (200, {"outputs": rows["predictions"]})
    grpc_answer = client.predict(request(waveform=waveform[:, :50]))
    np.testing.assert_allclose(
        rows["predictions"], tf.make_ndarray(grpc_answer.outputs["waveform"]), rtol=0, atol=1e-6
    )


def test_a_signature_with_several_inputs(client):
    row = {"waveform": [[0.1], [0.2], [0.3]], "lengths": 2}
    body = {"signature_name": "with_lengths", "instances": [row]}
    code, answer = client.rest("/v1/models/enhance:predict", body)
    output = np.array(answer["predictions"])
    assert code == 200 and output.shape == (1, 12, 1)
    assert not output[0, 8:].any() and output[0, :8].any()


def test_wav_files_go_and_come_as_bytes(client):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(100), 4000, "PCM_16", format="WAV")
    content = file.getvalue()
    answer = client.predict(request(signature="wav_bytes", audio_bytes=[content]))
    (high,) = answer.outputs["audio_bytes"].string_val
    assert soundfile.info(io.BytesIO(high)).frames == 400
    body = {
        "signature_name": "wav_bytes",
        "instances": [{"b64": base64.b64encode(content).decode()}],
    }
    code, rest = client.rest("/v1/models/enhance:predict", body)
    assert code == 200 and base64.b64decode(rest["predictions"][0]["b64"]) == high
    with pytest.raises(grpc.RpcError) as error:
        client.predict(request(signature="wav_bytes", audio_bytes=[content[:30]]))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_several_outputs_and_a_filter(client):
    mixture = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 64, 2)).astype("float32")
    every = client.predict(request("separate", waveform=mixture))
    assert sorted(every.outputs) == ["bass", "drums", "other", "vocals"]
    some = client.predict(request("separate", filter=["drums"], waveform=mixture))
    assert list(some.outputs) == ["drums"]
    assert tf.make_ndarray(some.outputs["drums"]).shape == (1, 64, 2)
    code, answer = client.rest("/v1/models/separate:predict", {"instances": mixture.tolist()})
    (row,) = answer["predictions"]
    assert code == 200 and np.shape(row["vocals"]) == (64, 2)
    np.testing.assert_allclose(
        row["bass"], tf.make_ndarray(every.outputs["bass"])[0], rtol=0, atol=1e-6
    )


nan = np.full((1, 8, 1), np.nan, "float32")
BAD = {
    "model": (request("nope", waveform=WAVEFORM), "NOT_FOUND", "enhance .version 1., separate"),
    "version": (request(version=7, waveform=WAVEFORM), "NOT_FOUND", r"Specific\(enhance, 7\)"),
    "signature": (
        request(signature="nope", waveform=WAVEFORM),
        "FAILED_PRECONDITION",
        "has the signatures .*serving_default, wav_bytes, with_lengths",
    ),
    "no model_spec": (predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "missing input": (request(), "INVALID_ARGUMENT", "Missing: waveform"),
    "extra input": (request(waveform=WAVEFORM, x=1.0), "INVALID_ARGUMENT", "not accepted: x"),
    "dtype": (request(waveform=np.zeros((1, 8, 1))), "INVALID_ARGUMENT", "but got float64"),
    "string": (request(waveform=[[["a"]]]), "INVALID_ARGUMENT", "but got string"),
    "rank": (request(waveform=np.zeros((1, 8), "float32")), "INVALID_ARGUMENT", r"\(1, 8\)"),
    "channels": (request(waveform=np.zeros((1, 8, 2), "float32")), "INVALID_ARGUMENT", "8, 2"),
    "no samples": (request(waveform=np.zeros((1, 0, 1), "float32")), "INVALID_ARGUMENT", "empty"),
    "NaN": (request(waveform=nan), "INVALID_ARGUMENT", "NaN or infinite"),
    "infinite": (request(waveform=nan * np.inf), "INVALID_ARGUMENT", "NaN or infinite"),
    "too long": (
        request(waveform=np.zeros((1, 20_001, 1), "float32")),
        "INVALID_ARGUMENT",
        "20,001 samples .* may have 20,000",
    ),
    "huge shape": (
        request(waveform=proto(dtype=1, shape=(1, 10**15, 1), float_val=[1.0])),
        "INVALID_ARGUMENT",
        "too long",
    ),
    "negative shape": (
        request(waveform=proto(dtype=1, shape=(1, -8, 1), float_val=[1.0])),
        "INVALID_ARGUMENT",
        r"\(1, -8, 1\)",
    ),
    "short content": (
        request(waveform=proto(dtype=1, shape=(1, 8, 1), tensor_content=b"123")),
        "INVALID_ARGUMENT",
        "3 bytes of tensor_content",
    ),
    "many values": (
        request(waveform=proto(dtype=1, shape=(1, 2, 1), float_val=[1.0] * 3)),
        "INVALID_ARGUMENT",
        "do not fit",
    ),
    "no dtype": (request(waveform=proto(shape=(1, 2, 1))), "INVALID_ARGUMENT", "type"),
    "unknown dtype": (request(waveform=proto(dtype=99)), "INVALID_ARGUMENT", "type"),
    "output": (request(waveform=WAVEFORM, filter=["x"]), "INVALID_ARGUMENT", "no output 'x'"),
    "message size": (
        request(waveform=np.zeros((1, 300_000, 1), "float32")),
        "RESOURCE_EXHAUSTED",
        "larger than max",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_grpc_requests_get_the_code_that_they_deserve(client, name):
    made, code, message = BAD[name]
    with pytest.raises(grpc.RpcError, match=message) as error:
        client.predict(made)
    assert error.value.code() is grpc.StatusCode[code]


def test_a_label_is_refused(client):
    made = request(waveform=WAVEFORM)
    made.model_spec.version_label = "stable"
    with pytest.raises(grpc.RpcError, match="Unrecognized servable version label: stable") as error:
        client.predict(made)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("/v1/models/nope:predict", {"instances": [1]}, 404, "serves enhance"),
        ("/v1/models/nope:predict", b"{", 404, "serves enhance"),
        ("/v1/models/enhance/versions/2:predict", {"instances": [1]}, 404, "Specific"),
        ("/v1/models/enhance/versions/x:predict", {"instances": [1]}, 400, "to numeric"),
        (f"/v1/models/enhance/versions/{'9' * 30}:predict", {"instances": [1]}, 400, "numeric"),
        ("/v1/models/enhance:predict", b"{", 400, "JSON Parse error"),
        ("/v1/models/enhance:predict", {"instances": [[[None]]]}, 400, "holds null"),
        (
            "/v1/models/enhance:predict",
            {"signature_name": "x", "instances": [1]},
            400,
            "has the signatures",
        ),
        ("/v1/models/enhance:predict", b" " * (2**20 + 1), 413, "more than 1,048,576 bytes"),
        ("/v1/models/enhance:predict", b" " * (8 * 2**20), 413, "more than 1,048,576 bytes"),
        ("/v1/models/enhance:predict", None, 400, "Malformed request: GET"),
        ("/v1/models/enhance", b"{}", 400, "Malformed request: POST"),
        ("/v1/models/enhance:classify", b"{}", 400, "Malformed request"),
        ("/v1/models", None, 400, "Malformed request"),
        ("/v1/models/nope", None, 404, "Could not find any versions of model nope"),
        ("/v1/models/enhance/versions/2", None, 404, "Could not find version 2 of model enhance"),
        ("/v1/models/nope/metadata", None, 404, "Servable not found"),
    ],
)
def test_bad_rest_requests_get_the_status_that_they_deserve(client, path, body, code, message):
    status, answer = client.rest(path, body)
    assert status == code and message in answer["error"]


def test_other_paths_are_not_found(client):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{client.base}/docs")


def test_metadata_by_both_protocols(client):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "enhance"
    answer = client.prediction.GetModelMetadata(asked)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("enhance", 1)
    definitions = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(definitions)
    info = definitions.signature_def["serving_default"].inputs["waveform"]
    assert [dim.size for dim in info.tensor_shape.dim] == [-1, -1, 1]
    code, rest = client.rest("/v1/models/enhance/metadata")
    assert code == 200
    assert rest["model_spec"] == {"name": "enhance", "signature_name": "", "version": "1"}
    told = rest["metadata"]["signature_def"]["signature_def"]["with_lengths"]
    assert told["method_name"] == "tensorflow/serving/predict"
    assert told["inputs"]["lengths"] == {
        "dtype": "DT_INT32",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "with_lengths_lengths:0",
    }
    asked.metadata_field[:] = ["colour"]
    with pytest.raises(grpc.RpcError, match="has to be signature_def"):
        client.prediction.GetModelMetadata(asked)


def test_status_and_health(client):
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "enhance"
    (told,) = client.models.GetModelStatus(asked).model_version_status
    available = get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert (told.version, told.state, told.status.error_code) == (1, available, 0)
    asked.model_spec.name = "nope"
    with pytest.raises(grpc.RpcError, match="This server serves enhance") as error:
        client.models.GetModelStatus(asked)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
    state = {"version": "1", "state": "AVAILABLE"}
    state["status"] = {"error_code": "OK", "error_message": ""}
    for path in ("/v1/models/enhance", "/v1/models/enhance/versions/1"):
        assert client.rest(path) == (200, {"model_version_status": [state]})
    for service in ("", "tensorflow.serving.PredictionService"):
        health = client.health.Check(health_pb2.HealthCheckRequest(service=service))
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_requests_are_counted_by_model_and_status(client):
    def counts():
        found = client.metrics()
        return [
            found.get(f'tonezoo_requests_total{{model="{model}",protocol="{p}",status="{s}"}}', 0)
            for model, p, s in (
                ("enhance", "grpc", "OK"),
                ("enhance", "rest", "INVALID_ARGUMENT"),
                ("", "grpc", "NOT_FOUND"),
            )
        ]

    before = counts()
    client.predict(request(waveform=WAVEFORM))
    client.rest("/v1/models/enhance:predict", {"instances": [[1]]})
    with pytest.raises(grpc.RpcError):
        client.predict(request("made up", waveform=WAVEFORM))
    assert np.subtract(counts(), before).tolist() == [1, 1, 1]
    assert client.metrics()['tonezoo_queue_requests{model="enhance"}'] == 0
    assert client.metrics()['tonezoo_served_version{model="enhance"}'] == 1


@pytest.fixture
def held(server):
    """Holds the model's computations until the block is left; yields those that have come."""
    with holding(server) as held:
        yield held


@contextlib.contextmanager
def holding(server):
    version = server._store.find("enhance")
    original, gate, computed = version.function, threading.Event(), []

    def function(name):
        def compute(inputs):
            computed.append(inputs)
            gate.wait(30)
            return original(name)(inputs)

        return compute

    version.function = function
    try:
        yield gate, computed
    finally:
        gate.set()
        del version.function


def test_requests_that_wait_are_computed_together_and_each_gets_its_own_answer(
    client, golden, held
):
    waveform, expected = golden
    gate, computed = held

    def asked(signal):
        return client.prediction.Predict.future(request(waveform=signal), timeout=30)

    first = asked(WAVEFORM)
    eventually(lambda: computed)
    answers = [asked(waveform[index % 2 :][:1]) for index in range(12)]
    eventually(lambda: client.waiting() == 12)
    gate.set()
    first.result()
    for index, answer in enumerate(answers):
        output = tf.make_ndarray(answer.result().outputs["waveform"])[0]
        np.testing.assert_allclose(output, expected[index % 2], rtol=0, atol=1e-5)
    assert [len(inputs["waveform"]) for inputs in computed] == [1, 8, 4]


def test_what_does_not_fit_the_queue_is_refused_by_both_protocols(client, held):
    gate, computed = held

    def asked():
        return client.prediction.Predict.future(request(waveform=WAVEFORM), timeout=30)

    # The first is computed alone, the others wait for it.
    waiting = [asked()]
    eventually(lambda: computed)
    waiting += [asked() for _ in range(OPTIONS.queue_size - 1)]
    eventually(lambda: client.waiting() == OPTIONS.queue_size - 1)
    with pytest.raises(grpc.RpcError, match="16 requests before this one") as error:
        client.predict(request(waveform=WAVEFORM))
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    code, answer = client.rest("/v1/models/enhance:predict", {"instances": [[[0.0]]]})
    assert code == 429 and "16 requests before this one" in answer["error"]
    # Health and status still answer.
    assert client.health.Check(health_pb2.HealthCheckRequest(), timeout=5).status == 1
    assert client.rest("/v1/models/enhance")[0] == 200
    gate.set()
    assert all(len(answer.result().outputs) == 1 for answer in waiting)
    client.predict(request(waveform=WAVEFORM))  # There is room again.


def eventually(condition) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_no_one_waits_for_any_more_is_not_computed(client, held):
    gate, computed = held
    before = {protocol: client.counted(protocol) for protocol in ("grpc", "rest")}
    first = client.prediction.Predict.future(request(waveform=WAVEFORM), timeout=30)
    eventually(lambda: computed)
    odd = np.zeros((1, 9, 1), "float32")
    with pytest.raises(grpc.RpcError) as error:
        client.prediction.Predict(request(waveform=odd), timeout=0.1)
    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: client.counted("grpc", before["grpc"]) == {"DEADLINE_EXCEEDED": 1})
    hung_up = client.prediction.Predict.future(request(waveform=odd), timeout=30)
    by_rest = client.upload(json.dumps({"instances": odd.tolist()}).encode())
    eventually(lambda: client.waiting() == 2)
    hung_up.cancel()
    by_rest.close()
    eventually(lambda: client.waiting() == 0)
    gate.set()
    first.result()
    client.predict(request(waveform=np.zeros((1, 10, 1), "float32")))
    assert [inputs["waveform"].shape[1] for inputs in computed] == [8, 10]
    told = {"DEADLINE_EXCEEDED": 1, "CANCELLED": 1, "OK": 2}
    eventually(lambda: client.counted("grpc", before["grpc"]) == told)
    eventually(lambda: client.counted("rest", before["rest"]) == {"CANCELLED": 1})


def test_requests_that_are_still_sent_take_places_and_end_with_their_clients(client, caplog):
    before = client.counted("rest")
    uploads = [client.upload(b"{", length=100) for _ in range(OPTIONS.queue_size)]
    body = {"instances": [[[0.0]]]}
    eventually(lambda: client.rest("/v1/models/enhance:predict", body)[0] == 429)
    for upload in uploads:
        upload.close()
    eventually(lambda: client.counted("rest", before).get("CANCELLED") == OPTIONS.queue_size)
    assert client.rest("/v1/models/enhance:predict", body)[0] == 200
    assert "An error of the server's own" not in caplog.text


def test_a_body_that_does_not_come_in_time_is_not_waited_for(server, client, monkeypatch):
    monkeypatch.setitem(vars(server.options), "rest_timeout_s", 0.1)
    upload = client.upload(b"{", length=100)
    answer = upload.getresponse()
    assert answer.status == 504 and "did not come within 0.1 s" in json.load(answer)["error"]
    upload.close()


def test_a_rest_request_has_a_time_limit(server, client, held, monkeypatch):
    monkeypatch.setitem(vars(server.options), "rest_timeout_s", 0.1)
    code, answer = client.rest("/v1/models/enhance:predict", {"instances": [[[0.0]]]})
    assert code == 504 and "deadline passed" in answer["error"]


def test_an_error_of_the_servers_own_is_told_as_such(server, client, held, monkeypatch, caplog):
    version = server._store.find("enhance")
    monkeypatch.setattr(version, "function", lambda name: lambda inputs: 1 / 0)
    with pytest.raises(grpc.RpcError, match="see its log") as error:
        client.predict(request(waveform=WAVEFORM))
    assert error.value.code() is grpc.StatusCode.INTERNAL
    code, answer = client.rest("/v1/models/enhance:predict", {"instances": [[[0.0]]]})
    assert code == 500 and "see its log" in answer["error"]
    assert caplog.text.count("ZeroDivisionError") >= 2


def test_random_requests_are_refused_as_requests(client):
    """Whatever comes, it is the client's error, never the server's."""
    rng = random.Random(0)
    leaves = [0.5, 1, -3, 10**20, "a", None, True, {}, {"b64": "AA=="}, {"b64": 1}, [], [[]], 1e30]
    codes = set()

    def value(depth):
        if depth == 0 or rng.random() < 0.2:
            return rng.choice(leaves)
        if rng.random() < 0.2:
            names = rng.sample(["waveform", "lengths", "audio_bytes", "b64", "x"], 2)
            return {name: value(depth - 1) for name in names}
        return [value(depth - 1)] * rng.randrange(3)

    for _ in range(200):
        names = ["serving_default", "with_lengths", "wav_bytes", "", "x", 5]
        body = {"signature_name": rng.choice(names), rng.choice(["instances", "inputs"]): value(4)}
        text = bytearray(json.dumps(body).encode())
        if rng.random() < 0.2:
            text[rng.randrange(len(text))] = rng.randrange(256)
        codes.add(client.rest("/v1/models/enhance:predict", bytes(text))[0])
    assert codes <= {200, 400} and 400 in codes
    valid = request(waveform=np.ones((2, 3, 1), "float32")).SerializeToString()
    call = client.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    codes = set()
    for _ in range(200):
        content = bytearray(valid)
        for _ in range(rng.randrange(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        try:
            parsed = predict_pb2.PredictRequest.FromString(bytes(content))
        except Exception:
            continue  # gRPC itself refuses what is no message.
        try:
            call(parsed.SerializeToString(), timeout=30)
            codes.add("OK")
        except grpc.RpcError as error:
            codes.add(error.code().name)
    assert codes <= {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION"}
    assert {"INVALID_ARGUMENT", "NOT_FOUND"} <= codes


@pytest.mark.slow
def test_versions_change_without_a_lost_request(tmp_path):
    """A damaged version 2 is not served and told; version 3 takes over while requests run."""
    root, source = tmp_path / "models", shipped_models()["demucs_small_music"] / "1"
    version = shutil.copytree(source, root / "separate" / "1")
    waveform = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 64, 2)).astype("float32")
    lines = []
    options = ServingOptions(poll_s=0.05)
    with Server(root, port=0, rest_port=0, options=options, report=lines.append) as server:
        client = Client(server.port, server.rest_port)
        damaged = shutil.copytree(version, tmp_path / "damaged")
        with np.load(version / "golden.npz") as golden:
            change_golden(damaged, output=golden["output"] + 1)
        damaged.rename(root / "separate" / "2")
        eventually(lambda: len(lines) == 2)
        assert "version 2 is not served" in lines[1] and "differs from the golden" in lines[1]
        _, told = client.rest("/v1/models/separate/versions/2")
        (state,) = told["model_version_status"]
        assert state["state"] == "END" and "golden" in state["status"]["error_message"]
        expected = client.predict(request("separate", waveform=waveform))
        shutil.copytree(version, tmp_path / "good").rename(root / "separate" / "3")
        served = []
        while 3 not in served:
            answer = client.predict(request("separate", waveform=waveform))
            served.append(answer.model_spec.version.value)
            for name, output in expected.outputs.items():
                got, first = map(tf.make_ndarray, (answer.outputs[name], output))
                np.testing.assert_allclose(got, first, rtol=0, atol=1e-6)
            # Some at each moment of the change will do: the loading needs the processor too.
            time.sleep(0.002)
        assert set(served) == {1, 3} and server.served == {"separate": 3}
        eventually(lambda: "separate: version 1 is no longer served." in lines)
        with pytest.raises(grpc.RpcError, match=r"serves separate .version 3."):
            client.predict(request("separate", version=1, waveform=waveform))
        client.channel.close()


@dataclasses.dataclass
class Stopping:
    """A server that is told to stop while a computation is held and two requests wait for it."""

    client: Client
    gate: threading.Event
    computed: list
    by_grpc: grpc.Future
    by_rest: list[http.client.HTTPConnection]  # the first one's is the computation
    thread: threading.Thread


@pytest.fixture
def stopping(root, monkeypatch):
    """stopping(grace_s) -> `Stopping`."""
    # The models that the other server has loaded.
    monkeypatch.setattr(loading, "load_verified", load_once)
    body = json.dumps({"instances": WAVEFORM.tolist()}).encode()
    with contextlib.ExitStack() as undo:

        def stop(grace_s):
            options = ServingOptions(poll_s=60, grace_s=grace_s)
            server = Server(root, port=0, rest_port=0, options=options)
            server.start()
            client = Client(server.port, server.rest_port)
            undo.callback(client.channel.close)
            gate, computed = undo.enter_context(holding(server))
            by_rest = [client.upload(body)]
            eventually(lambda: computed)
            by_rest.append(client.upload(body))
            by_grpc = client.prediction.Predict.future(request(waveform=WAVEFORM), timeout=60)
            eventually(lambda: client.waiting() == 2)
            thread = threading.Thread(target=server.stop)
            thread.start()
            undo.callback(thread.join)
            undo.callback(gate.set)
            return Stopping(client, gate, computed, by_grpc, by_rest, thread)

        yield stop


def test_a_server_that_stops_finishes_what_has_begun_and_refuses_the_rest(stopping):
    begun = stopping(grace_s=30)

    def refused_by_grpc():
        asked = begun.client.prediction.Predict.future(request(waveform=WAVEFORM), timeout=1)
        return asked.code() is grpc.StatusCode.UNAVAILABLE

    def refused_by_rest():
        try:
            begun.client.rest("/v1/models/enhance")
        except urllib.error.URLError:
            return True

    eventually(refused_by_grpc)
    eventually(refused_by_rest)
    begun.gate.set()
    assert len(begun.by_grpc.result().outputs) == 1
    for connection in begun.by_rest:
        answer = connection.getresponse()
        assert answer.status == 200
        assert np.shape(json.load(answer)["predictions"]) == (1, 8 * RATIO, 1)
    begun.thread.join(20)
    assert not begun.thread.is_alive()
    assert [len(inputs["waveform"]) for inputs in begun.computed] == [1, 2]


def test_a_server_that_stops_gives_up_what_takes_longer_than_it_should(stopping, caplog):
    begun = stopping(grace_s=0.1)
    assert begun.by_grpc.code() is grpc.StatusCode.UNAVAILABLE
    for connection in begun.by_rest:
        answer = connection.getresponse()
        assert answer.status == 503 and "is stopping" in json.load(answer)["error"]
    assert begun.thread.is_alive()  # A computation cannot be ended.
    begun.gate.set()
    begun.thread.join(20)
    assert not begun.thread.is_alive() and len(begun.computed) == 1
    assert "Traceback" not in caplog.text


@pytest.mark.slow
def test_the_command_finishes_what_it_has_begun_when_it_is_told_to_stop(tmp_path):
    (tmp_path / "enhance").symlink_to(shipped_models()["demucs_small_music"])
    # Requests that are begun, but not yet computed, at the time of the signal.
    words = ("serve", tmp_path, "--port", "0", "--rest-port", "0", "--batch-timeout-ms", "5000")
    process = subprocess.Popen(
        [sys.executable, "-m", "tonezoo", *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    try:
        assert process.stdout.readline() == "enhance: version 1 is served.\n"
        line = process.stdout.readline()
        ports = [int(part.split(":")[-1]) for part in line.replace(",", "").split() if ":" in part]
        client = Client(*ports)
        mixture = np.zeros((1, 64, 2), "float32")
        call = client.prediction.Predict.future(request(waveform=mixture), timeout=60)
        upload = client.upload(json.dumps({"instances": mixture.tolist()}).encode())
        eventually(lambda: client.waiting() == 2)
        process.send_signal(signal.SIGTERM)
        assert len(call.result().outputs) == 4
        assert upload.getresponse().status == 200
        assert process.wait(timeout=30) == 0
        assert process.stdout.read().splitlines() == [
            "Stopping: finishing what has begun.",
            "enhance: version 1 is no longer served.",
        ]
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{tmp}/no", "no does not exist. Give a folder of models"),
        ("{tmp}/file", "is a file, but models lie in a folder"),
        ("{tmp}/empty", "There is no model in"),
        ("{tmp}/damaged", "No model can be served.\nsmall 1: "),
        ("{tmp}/damaged --port {port}", "Port {port} of 127.0.0.1 is in use. Stop the program"),
        ("{tmp}/damaged --rest-port {port}", "choose another port with --rest-port"),
        ("{tmp}/damaged --host 192.0.2.1", "Cannot listen at 192.0.2.1:"),
    ],
)
def test_bad_input_of_the_command(cli, tmp_path, words, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged" / "small" / "1").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"tmp": tmp_path, "port": taken.getsockname()[1]}
        asked = words.format(**names).split()
        free = [] if "port" in words else ["--port", "0", "--rest-port", "0"]
        free += ["--rest-port", "0"] if " --port" in words else []
        free += ["--port", "0"] if "--rest-port" in words else []
        code, _, err = cli("serve", *asked, *free)
    assert code == 1 and message.format(**names) in err


def test_a_server_that_cannot_start_leaves_its_ports_free(tmp_path):
    (tmp_path / "damaged" / "1").mkdir(parents=True)
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = {"port": one.getsockname()[1], "rest_port": other.getsockname()[1]}
    for _ in range(2):
        with pytest.raises(ValueError, match="No model can be served"):
            Server(tmp_path, **ports)


def test_a_missing_package_is_named_with_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(ImportError, match=r'package orjson: pip install "tonezoo\[serve\]"'):
        Server(tmp_path, port=0, rest_port=0)
