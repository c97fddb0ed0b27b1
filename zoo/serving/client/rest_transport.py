"""Requests by REST, in JSON."""

import base64
import functools
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np

from tonezoo.serving.client import errors

TOO_MANY, BAD_GATEWAY, UNAVAILABLE, TIMEOUT = 429, 502, 503, 504


class RestTransport:
    """Sends requests to a server's REST port.

    Args:
        address: http://HOST:PORT or https://HOST:PORT.
    """

    def __init__(self, address: str):
        self._address = address.rstrip("/")
        self._output_names = functools.cache(self._asked_output_names)

    def predict(
        self,
        model: str,
        version: int | None,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        timeout_s: float,
    ) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by name; see `tonezoo.serving.client.Client.predict`.

        Raises:
            TryAgainError: no server, or one that has no place for the request now.
            ConnectionError: no answer in time.
            ValueError: the server refuses the request, or answers in another way.
        """
        names = self._output_names(model, version, signature, timeout_s)
        body = {
            "signature_name": signature,
            "inputs": {name: _to_json(array) for name, array in inputs.items()},
        }
        answer = self._asked(f"{_path(model, version)}:predict", timeout_s, body)
        outputs: Any = answer.get("outputs")
        # Of a single output the name is left out.
        named = {names[0]: outputs} if len(names) == 1 else outputs
        if outputs is None or not isinstance(named, dict) or set(named) != set(names):
            raise errors.refused(self._address, f"its answer lacks the outputs {', '.join(names)}.")
        return {name: _to_array(value) for name, value in named.items()}

    def _asked_output_names(self, model, version, signature, timeout_s):
        metadata = self._asked(f"{_path(model, version)}/metadata", timeout_s)
        try:
            found = metadata["metadata"]["signature_def"]["signature_def"]
            if signature in found:
                return tuple(found[signature]["outputs"])
        except (KeyError, TypeError) as error:
            raise errors.refused(self._address, f"it tells no signatures of {model}.") from error
        raise errors.refused(
            self._address, f"{model} has no signature {signature}, but {', '.join(found)}."
        )

    def _asked(self, path: str, timeout_s: float, body: Any = None) -> dict[str, Any]:
        """Returns what the server answers: a POST of a body, a GET without one."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._address}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise self._explained(error, timeout_s) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise errors.too_slow(self._address, timeout_s) from error
            raise errors.unreachable(self._address, str(reason) or repr(reason)) from error
        except ValueError as error:
            raise errors.refused(self._address, "its answer is not JSON.") from error
        if not isinstance(answer, dict):
            raise errors.refused(self._address, "its answer is not a JSON object.")
        return answer

    def _explained(self, error, timeout_s):
        text = error.read().decode(errors="replace")
        try:
            reason = str(json.loads(text)["error"])
        except (ValueError, KeyError, TypeError):
            reason = f"{error.code} {error.reason}"
        if error.code in (TOO_MANY, UNAVAILABLE):
            return errors.busy(self._address, reason)
        if error.code == BAD_GATEWAY:
            return errors.unreachable(self._address, reason)
        if error.code == TIMEOUT:
            return errors.too_slow(self._address, timeout_s)
        return errors.refused(self._address, reason)

    def close(self) -> None:
        """Does nothing: no connection is kept."""


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
