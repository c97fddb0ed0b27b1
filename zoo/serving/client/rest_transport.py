"""Requests by REST, in JSON."""

import base64
import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

import numpy as np

from tonezoo.serving.client import errors

NOT_FOUND, TOO_MANY, BAD_GATEWAY, UNAVAILABLE, TIMEOUT = 404, 429, 502, 503, 504
CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
# A machine that is off refuses no connection: it says nothing.
CONNECT_TIMEOUT_S = 5.0


class RestTransport:
    """Sends requests to a server's REST port.

    Args:
        address: http://HOST:PORT or https://HOST:PORT.
    """

    def __init__(self, address: str):
        self._address = address.rstrip("/")
        # (model, version) -> signature -> names of its outputs.
        self._output_names: dict[tuple[str, int], dict[str, list[str]]] = {}
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._closed = False

    def predict(
        self,
        model: str,
        version: int | None,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        timeout_s: float,
    ) -> tuple[dict[str, np.ndarray], int]:
        """Returns the outputs of a signature by name, and the version that gave them.

        Args:
            model, version, signature, inputs: see `tonezoo.serving.client.Client.predict`.
            timeout_s: seconds in which each of the server's answers has to be there.

        Raises:
            TryAgainError: no server, or one that has no place for the request now.
            ConnectionError: no answer in time.
            ValueError: the server refuses the request, or answers in another way.
        """
        number, signatures = self._described(model, version, timeout_s)
        if signature not in signatures:
            told = f"{model} has no signature {signature}, but {', '.join(signatures)}."
            raise errors.refused(self._address, told)
        names = signatures[signature]
        body = {
            "signature_name": signature,
            "inputs": {name: _to_json(array) for name, array in inputs.items()},
        }
        try:
            answer = self._asked(f"{_path(model, number)}:predict", timeout_s, body)
        except errors.NotFoundError as error:
            if version is None:  # A newer version has taken its place in between.
                raise errors.TryAgainError(str(error)) from error
            raise
        outputs: Any = answer.get("outputs")
        # Of a single output the name is left out.
        named = {names[0]: outputs} if len(names) == 1 else outputs
        if outputs is None or not isinstance(named, dict) or set(named) != set(names):
            raise errors.refused(self._address, f"its answer lacks the outputs {', '.join(names)}.")
        return {name: _to_array(value) for name, value in named.items()}, number

    def _described(self, model, version, timeout_s):
        """Returns the number of a version, and the names of its outputs by signature."""
        if (model, version) in self._output_names:
            return version, self._output_names[model, version]
        metadata = self._asked(f"{_path(model, version)}/metadata", timeout_s)
        try:
            number = int(metadata["model_spec"]["version"])
            found = metadata["metadata"]["signature_def"]["signature_def"]
            names = {signature: [*definition["outputs"]] for signature, definition in found.items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise errors.refused(self._address, f"it tells no signatures of {model}.") from error
        # Not by None: what is the newest changes.
        self._output_names[model, number] = names
        return number, names

    def _asked(self, path: str, timeout_s: float, body: Any = None) -> dict[str, Any]:
        """Returns what the server answers: to a POST of a body, to a GET without one."""
        data = None if body is None else json.dumps(body).encode()
        try:
            status, reason, content = self._exchange(path, timeout_s, data)
        except TimeoutError as error:
            raise errors.too_slow(self._address, timeout_s) from error
        except (OSError, http.client.HTTPException) as error:
            raise errors.unreachable(self._address, str(error) or repr(error)) from error
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if status != http.HTTPStatus.OK:
            told = answer.get("error") if isinstance(answer, dict) else None
            raise self._explained(status, str(told or f"{status} {reason}"))
        if not isinstance(answer, dict):
            raise errors.refused(self._address, "its answer is not a JSON object.")
        return answer

    def _exchange(self, path, timeout_s, data) -> tuple[int, str, bytes]:
        """Returns the status of the answer, what it is called, and the body.

        Raises:
            TimeoutError: no whole answer in time.
            OSError, HTTPException: no connection, or one that breaks.
        """
        end = time.monotonic() + timeout_s
        connection = self._connect(timeout_s)
        # The connection forgets it when the server says that it will close.
        sock = connection.sock
        # A socket's own time limit begins anew with each byte.
        timer = threading.Timer(end - time.monotonic(), _break, [sock])
        timer.start()
        try:
            with self._kept(sock):
                # What broke while it was sent may have been answered: that it is too large.
                with contextlib.suppress(OSError):
                    method = "GET" if data is None else "POST"
                    connection.request(method, path, data, {"Content-Type": "application/json"})
                with connection.getresponse() as response:
                    content = response.read()
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= end:
                raise TimeoutError from error
            raise
        finally:
            timer.cancel()
            connection.close()
        if time.monotonic() >= end:  # Where no length is told, the break is taken for the end.
            raise TimeoutError
        return response.status, response.reason, content

    def _connect(self, timeout_s):
        scheme, _, place = self._address.partition("://")
        connection = CONNECTIONS[scheme](place, timeout=min(timeout_s, CONNECT_TIMEOUT_S))
        try:
            connection.connect()
        except TimeoutError as error:
            raise ConnectionError("no connection in time") from error
        connection.sock.settimeout(None)
        return connection

    @contextlib.contextmanager
    def _kept(self, sock):
        """Has `close` break a connection within the block."""
        with self._lock:
            if self._closed:
                raise ConnectionError("the client is closed")
            self._sockets.add(sock)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.remove(sock)

    def _explained(self, status, reason):
        if status in (TOO_MANY, UNAVAILABLE):
            return errors.busy(self._address, reason)
        if status == BAD_GATEWAY:
            return errors.unreachable(self._address, reason)
        if status == TIMEOUT:
            return errors.gave_up(self._address, reason)
        if status == NOT_FOUND:
            return errors.not_found(self._address, reason)
        return errors.refused(self._address, reason)

    def close(self) -> None:
        """Ends what is under way."""
        with self._lock:
            self._closed = True
            for sock in self._sockets:
                _break(sock)


def _break(sock: socket.socket) -> None:
    """Ends what another thread sends or awaits by a socket, with TLS or without."""
    with contextlib.suppress(OSError):
        # That of `ssl.SSLSocket` would take the encryption off under the other thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _path(model: str, version: int | None) -> str:
    name = urllib.parse.quote(model, safe="")
    return f"/v1/models/{name}" + ("" if version is None else f"/versions/{version}")


def _to_json(array: np.ndarray) -> list:
    if array.dtype != object:
        return array.tolist()
    values = np.empty(array.size, object)
    values[:] = [{"b64": base64.b64encode(value).decode()} for value in array.ravel()]
    return values.reshape(array.shape).tolist()


def _to_array(value: Any) -> np.ndarray:
    """Returns numbers as float32, strings and {"b64": ...} as objects that are bytes."""
    first = value
    while isinstance(first, list) and first:
        first = first[0]
    if not isinstance(first, str | dict):
        return np.array(value, "float32")
    values = np.array(value, object)
    decoded = np.empty(values.size, object)
    decoded[:] = [
        base64.b64decode(text["b64"]) if isinstance(text, dict) else text.encode()
        for text in values.ravel()
    ]
    return decoded.reshape(values.shape)
