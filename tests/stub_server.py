"""Servers of exported models by TensorFlow Serving's protocols, which fail when told to."""

import base64
import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tonezoo.serving.manifest import versions

HTTP_CODES = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
}


class Failure(Exception):
    """An error with a code of gRPC."""

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code, self.message = code, message


@cache
def load(version: Path):
    return tf.saved_model.load(str(version))


class Models:
    """Exported models, with what becomes of requests to them.

    Args:
        folder_of: from a model's name to its folder; a KeyError for none.

    Attributes:
        requests: (model, signature, shapes of the inputs by name) of each request so far.
        failures: what the next requests are answered by, the first first.
        before_answer: called before each answer with the number of requests so far.
    """

    def __init__(self, folder_of: Callable[[str], Path]):
        self._folder_of = folder_of
        self.requests: list[tuple] = []
        self.failures: list[Failure] = []
        self.before_answer = lambda number: None
        self._lock = threading.Lock()

    def version(self, model: str, asked: int | None) -> int:
        """Returns the number of a version that is there; the newest one for None."""
        wanted = f"Latest({model})" if asked is None else f"Specific({model}, {asked})"
        try:
            there = versions(self._folder_of(model))
        except KeyError:
            there = []
        if not there or asked not in (None, *there):
            raise Failure(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        return asked or there[-1]

    def signatures(self, model: str, version: int):
        return load((self._folder_of(model) / str(version)).resolve()).signatures

    def predict(self, model: str, asked: int | None, name: str, inputs: dict) -> tuple[dict, int]:
        """Returns the outputs, and the version that gave them."""
        shapes = {key: np.shape(value) for key, value in inputs.items()}
        with self._lock:
            self.requests.append((model, name, shapes))
            number = len(self.requests)
            failure = self.failures.pop(0) if self.failures else None
        self.before_answer(number)
        if failure is not None:
            raise failure
        version = self.version(model, asked)
        signatures = self.signatures(model, version)
        if name not in signatures:
            message = f'Serving signature key "{name}" not found.'
            raise Failure(grpc.StatusCode.FAILED_PRECONDITION, message)
        signature = signatures[name]
        specs = signature.structured_input_signature[1]
        try:
            outputs = signature(
                **{key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()}
            )
        except tf.errors.OpError as error:
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, error.message) from error
        return {key: output.numpy() for key, output in outputs.items()}, version


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers Predict, floats as the server does by default: packed, not as tensor_content."""

    def __init__(self, models: Models):
        self._models = models

    def Predict(self, request, context):
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        try:
            outputs, version = self._models.predict(spec.name, version, spec.signature_name, inputs)
        except Failure as failure:
            context.abort(failure.code, failure.message)
        response = predict_pb2.PredictResponse(model_spec=spec)
        response.model_spec.version.value = version
        for key, array in outputs.items():
            proto = response.outputs[key]
            proto.CopyFrom(tf.make_tensor_proto(array))
            if proto.dtype == tf.float32.as_datatype_enum:
                proto.tensor_content = b""
                proto.float_val.extend(array.ravel().tolist())
        return response


def serve_grpc(models: Models, port: int = 0) -> tuple[grpc.Server, int]:
    """Returns a started server and its port on the loopback."""
    # With SO_REUSEPORT a server that is not quite gone would take requests.
    options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(models), server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server, port


class Handler(BaseHTTPRequestHandler):
    models: Models

    def do_GET(self):
        # /v1/models/NAME[/versions/N]/metadata
        parts = self.path.split("/")
        asked = int(parts[5]) if "versions" in parts else None
        with self.failing():
            version = self.models.version(parts[3], asked)
            found = {
                name: {"outputs": {key: {} for key in signature.structured_outputs}}
                for name, signature in self.models.signatures(parts[3], version).items()
            }
            metadata = {"signature_def": {"signature_def": found}}
            self.answer(200, {"model_spec": {"version": str(version)}, "metadata": metadata})

    def do_POST(self):
        # /v1/models/NAME[/versions/N]:predict
        parts = self.path.removesuffix(":predict").split("/")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        inputs = {key: self.bytes_of(value) for key, value in body["inputs"].items()}
        with self.failing():
            asked = int(parts[5]) if "versions" in parts else None
            outputs, _ = self.models.predict(parts[3], asked, body["signature_name"], inputs)
            lists = {key: self.text_of(key, output) for key, output in outputs.items()}
            # The name of a single output is left out.
            self.answer(200, {"outputs": lists if len(lists) > 1 else next(iter(lists.values()))})

    def bytes_of(self, value):
        is_text = isinstance(value[0], dict)
        return [base64.b64decode(each["b64"]) for each in value] if is_text else value

    def text_of(self, key, output):
        if output.dtype != object:
            return output.tolist()
        if key.endswith("_bytes"):
            return [{"b64": base64.b64encode(text).decode()} for text in output]
        return [text.decode() for text in output]

    @contextlib.contextmanager
    def failing(self):
        try:
            yield
        except Failure as failure:
            self.answer(HTTP_CODES.get(failure.code, 400), {"error": failure.message})

    def answer(self, code, content):
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *arguments):
        """Says nothing of clients that have gone."""


def serve_rest(models: Models, port: int = 0) -> tuple[QuietServer, int]:
    """Returns a started server and its port on the loopback."""
    handler = type("ModelHandler", (Handler,), {"models": models})
    server = QuietServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, server.server_port
