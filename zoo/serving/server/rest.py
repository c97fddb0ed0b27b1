"""TensorFlow Serving's REST API, version 1, and its page for Prometheus."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from tensorflow.core.framework import types_pb2

from tonezoo.serving.server import metrics as metrics_page
from tonezoo.serving.server.errors import Code, RequestError, hung_up, invalid
from tonezoo.serving.server.grpc_service import METADATA_FIELD
from tonezoo.serving.server.loading import LoadedVersion
from tonezoo.serving.server.metrics import Metrics
from tonezoo.serving.server.models import ModelStore
from tonezoo.serving.server.options import ServingOptions
from tonezoo.serving.server.prediction import PredictionRequest, Predictor
from tonezoo.serving.server.rest_json import PredictBody, answer_body

LARGEST_VERSION = 2**63 - 1
TOO_LARGE = 413
# Bodies of up to so many times the limit are read, and forgotten: most clients look for an answer
# only when they have sent everything, and a connection that is closed before is an error to them.
READ_ON = 16
log = logging.getLogger(__name__)
Answer = Callable[[Request], Awaitable[Response]]


def rest_app(
    store: ModelStore[LoadedVersion],
    predictor: Predictor,
    metrics: Metrics,
    options: ServingOptions,
) -> Starlette:
    """Returns the REST API as an ASGI application."""
    max_bytes = options.max_message_mib * 2**20

    async def predict(request: Request) -> Response:
        name = model_name(request)
        deadline = time.monotonic() + options.rest_timeout_s
        with metrics.request(name, "rest", store), predictor.place():
            body = await read_body(request, max_bytes, options.rest_timeout_s)
            number = version_number(request)
            submitted, form = await run_in_threadpool(submit, name, number, body, deadline)
            # Past the time limit `outputs` says so.
            await done(submitted.future, request, deadline - time.monotonic())
            outputs = submitted.outputs(timeout_s=0)
            return json_response(await run_in_threadpool(answer_body, form, outputs))

    def submit(name, number, body, deadline):
        store.find(name, number)  # Another name is told first, whatever the body is like.
        parsed = PredictBody.parse(body)
        submitted = predictor.submit(
            PredictionRequest(
                model=name,
                version=number,
                signature=parsed.signature,
                timeout_s=deadline - time.monotonic(),
                read_inputs=lambda signature: parsed.read_inputs(signature, options.max_samples),
            )
        )
        return submitted, parsed.form

    async def status(request: Request) -> Response:
        found = store.status(model_name(request), version_number(request))
        states = [
            {
                "version": str(number),
                "state": status.state,
                "status": {"error_code": status.code.name, "error_message": status.message},
            }
            for number, status in found.items()
        ]
        return json_response(orjson.dumps({"model_version_status": states}))

    async def metadata(request: Request) -> Response:
        version = store.find(model_name(request), version_number(request))
        spec = {"name": version.name, "signature_name": "", "version": str(version.number)}
        definitions = {
            name: definition_json(definition) for name, definition in version.signature_defs.items()
        }
        content = {METADATA_FIELD: {METADATA_FIELD: definitions}}
        return json_response(orjson.dumps({"model_spec": spec, "metadata": content}))

    async def prometheus(request: Request) -> Response:
        return Response(metrics.page(store), media_type=metrics_page.CONTENT_TYPE)

    async def malformed(request: Request) -> Response:
        raise malformed_request(request)

    model, version = "/v1/models/{name}", "/v1/models/{name}/versions/{version}"
    routes = [
        Route(f"{path}{suffix}", answered(endpoint), methods=[method])
        # The longer paths first: a name may hold anything but a slash.
        for path in (version, model)
        for suffix, endpoint, method in (
            (":predict", predict, "POST"),
            ("/metadata", metadata, "GET"),
            ("", status, "GET"),
        )
    ]
    return Starlette(
        routes=[
            Route(metrics_page.PATH, answered(prometheus)),
            *routes,
            Route("/v1/{rest:path}", answered(malformed), methods=["GET", "POST", "PUT", "DELETE"]),
        ]
    )


async def done(future: Future, request: Request, timeout_s: float) -> None:
    """Returns when the future of a request is done, or cancelled as some time is over.

    Raises:
        RequestError: CANCELLED; the client did not wait for it.
    """
    loop, event = asyncio.get_running_loop(), asyncio.Event()

    def tell(_):
        with contextlib.suppress(RuntimeError):  # The server has stopped, its loop is closed.
            loop.call_soon_threadsafe(event.set)

    future.add_done_callback(tell)
    finished = asyncio.create_task(event.wait())
    # After the body nothing comes from a client but that it has gone.
    gone = asyncio.create_task(request.receive())
    try:
        await asyncio.wait((finished, gone), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if gone.done() and not future.done():
            raise hung_up()
    finally:
        finished.cancel()
        gone.cancel()
        future.cancel()  # Unless it is done: no one waits any more.


def answered(endpoint: Answer) -> Answer:
    """Returns an endpoint whose errors become answers of JSON with the status that they have."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BodyTooLarge as error:
            return error_response(TOO_LARGE, error.message)
        except RequestError as error:
            return error_response(error.code.http_status, error.message)
        except asyncio.CancelledError:  # What takes longer than `grace_s`; nothing else cancels.
            message = "The server is stopping, and did not finish this request in time."
            return error_response(Code.UNAVAILABLE.http_status, message)
        except Exception:
            log.exception("An error of the server's own")
            return error_response(500, "An error of the server's own: see its log.")

    return answer


class BodyTooLarge(RequestError):
    """RESOURCE_EXHAUSTED as in gRPC, but 413 in place of 429: trying again does not help."""


async def read_body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """Returns the body of a request.

    Raises:
        BodyTooLarge: it has more bytes; no more than that are kept.
        RequestError: DEADLINE_EXCEEDED, CANCELLED; it does not come in time, or at all.
    """
    chunks, size = [], 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if size > READ_ON * max_bytes:
                    break
                if size > max_bytes:
                    chunks.clear()
                else:
                    chunks.append(chunk)
    except TimeoutError:
        raise RequestError(
            Code.DEADLINE_EXCEEDED, f"The body did not come within {timeout_s:g} s."
        ) from None
    except ClientDisconnect:
        raise hung_up() from None
    if size > max_bytes:
        raise BodyTooLarge(
            Code.RESOURCE_EXHAUSTED,
            f"The body has more than {max_bytes:,} bytes. Send less at once, or by gRPC, which "
            "takes a fifth of the bytes; the server's option is --max-message-mib.",
        )
    return b"".join(chunks)


def malformed_request(request: Request) -> RequestError:
    return invalid(f"Malformed request: {request.method} {request.url.path}")


def model_name(request: Request) -> str:
    """Returns the name of the model in a path.

    Raises:
        RequestError: INVALID_ARGUMENT; what looks like one is a verb, such as ":classify".
    """
    name = request.path_params["name"]
    if ":" in name:
        raise malformed_request(request)
    return name


def version_number(request: Request) -> int | None:
    """Returns the version in a path, None if there is none.

    Raises:
        RequestError: INVALID_ARGUMENT; it is no whole number.
    """
    text = request.path_params.get("version")
    if text is None:
        return None
    if not (
        text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= LARGEST_VERSION
    ):
        raise invalid(f"Failed to convert version: {text} to numeric.")
    return int(text)


def definition_json(definition) -> dict:
    """Returns a SignatureDef with every field written out, as TensorFlow Serving does."""
    return {
        "inputs": {name: info_json(info) for name, info in definition.inputs.items()},
        "outputs": {name: info_json(info) for name, info in definition.outputs.items()},
        "method_name": definition.method_name,
        "defaults": {},
    }


def info_json(info) -> dict:
    dims = [{"size": str(dim.size), "name": dim.name} for dim in info.tensor_shape.dim]
    return {
        "dtype": types_pb2.DataType.Name(info.dtype),
        "tensor_shape": {"dim": dims, "unknown_rank": info.tensor_shape.unknown_rank},
        "name": info.name,
    }


def json_response(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")


def error_response(status: int, message: str) -> Response:
    return json_response(orjson.dumps({"error": message}), status)
