"""Running models that a server serves, on a machine without TensorFlow and Keras."""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tonezoo.serving.client.errors import BusyError, NotFoundError, TryAgainError
from tonezoo.serving.client.grpc_transport import GrpcTransport
from tonezoo.serving.client.patience import call_again
from tonezoo.serving.client.rest_transport import RestTransport
from tonezoo.serving.facts import FACTS_INPUT, FACTS_OUTPUT, FACTS_SIGNATURE
from tonezoo.tasks import find_task

if TYPE_CHECKING:
    import os

    from tonezoo.tasks import Engine, Task

ADDRESS = re.compile(r"(?P<scheme>https?://)?(?P<host>\[[\w:.%]+\]|[\w.-]+):(?P<port>\d{1,5})/?")
PROTOCOLS = ("grpc", "rest")
TYPES = (np.float32, np.int32, object)
# A server that has never answered is more likely to be the wrong one than to be on its way back.
FIRST_PATIENCE_S = 5.0


class Client:
    """Runs the models of TensorFlow Serving, or of `tonezoo serve`.

    Signals are cut, padded and joined here as for a model on this machine; the server gets requests
    of one signal each, of few lengths, several at once, and may batch them. A request that finds no
    server, or a full one, is sent again after 0.1 s, then after waits that double up to 5 s, each
    shortened at random by up to half.

    Args:
        address: HOST:PORT; http://HOST:PORT or https://HOST:PORT means REST.
        protocol: "grpc" or "rest"; None for what the address means.
        timeout_s: seconds in which a request has to be answered.
        patience_s: seconds for which a request is sent again; at most 5 to a server that is not
            there and has never answered, not even that it is full.
        requests_in_flight: how many requests are sent at once.

    Raises:
        ValueError: an address or a protocol of another kind, or a number that is not positive.
        ImportError: grpcio is missing, for gRPC.

    Example:

    >>> client = Client("localhost:8500", protocol="rest", requests_in_flight=2)
    >>> client
    Client('http://localhost:8500')
    >>> client.close()
    """

    def __init__(
        self,
        address: str,
        *,
        protocol: str | None = None,
        timeout_s: float = 120.0,
        patience_s: float = 60.0,
        requests_in_flight: int = 4,
    ):
        if not timeout_s > 0 or not patience_s >= 0 or requests_in_flight < 1:
            raise ValueError(
                f"timeout_s is {timeout_s}, patience_s {patience_s} and requests_in_flight "
                f"{requests_in_flight}. Give more than 0 s, 0 s or more, and 1 or more."
            )
        protocol, self.address = _resolve(address, protocol)
        transport = RestTransport if protocol == "rest" else GrpcTransport
        self._transport = transport(self.address)
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._requests_in_flight = requests_in_flight
        self._pool = ThreadPoolExecutor(requests_in_flight, thread_name_prefix="request")
        self._has_answered = False
        self._closed = threading.Event()

    def __repr__(self):
        return f"Client({self.address!r})"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self) -> None:
        """Ends the connection, and what is under way."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._transport.close()

    def load(
        self,
        name: str,
        version: int | None = None,
        *,
        manifest: "str | os.PathLike | None" = None,
    ) -> "Engine":
        """Returns a served model to run it on audio, as `tonezoo.load` does one on this machine.

        Args:
            name: that the server has it by.
            version: None for the newest now. The engine stays with it: an answer of one version
                does not continue that of another.
            manifest: the manifest.json of a model that was exported before models told their facts
                themselves. Without it, such a model has to have the name of one that comes with
                tonezoo.

        Returns:
            The engine of its task.

        Raises:
            ConnectionError: no server there, or none that answers in time.
            ValueError: the server has no such model, or nothing tells its facts.
        """
        told, told_by = self._facts(name, version, manifest)
        where = f"{name} at {self.address}"
        if not isinstance(told, dict) or not isinstance(told.get("task"), str):
            raise ValueError(f"{where} states no task. Export the model again.")
        task = find_task(told["task"])
        number = told_by if version is None else version
        version_told = number or told.get("version")

        def predict(signature, inputs):
            try:
                return self._predict_each(name, number, signature, inputs)
            except NotFoundError as error:
                if number == version:
                    raise
                raise ValueError(
                    f"{where} was replaced while it was in use: version {number} is not served any "
                    "more. Start again, with the newest."
                ) from error

        return task.served_engine(
            predict,
            task.facts.read(told, where),
            name if version_told is None else f"{name} {version_told}",
            self._requests_in_flight,
        )

    def predict(
        self,
        name: str,
        inputs: Mapping[str, np.ndarray],
        signature: str = "serving_default",
        version: int | None = None,
    ) -> dict[str, np.ndarray]:
        """Returns what a signature of a model makes of its inputs, by one request.

        Args:
            name: of the model.
            inputs: by name: float32, int32, or bytes as objects.
            signature: its name.
            version: of the model; None for the newest.

        Returns:
            The outputs by name: float32, or bytes as objects.

        Raises:
            ConnectionError: no server, a full one, or no answer in time.
            ValueError: an input of another type, or the server refuses the request.
        """
        for key, array in inputs.items():
            if array.dtype not in TYPES:
                raise ValueError(
                    f"The input {key} is {array.dtype}. A request takes float32, int32, and bytes "
                    "as objects."
                )

        outputs, _ = self._answer(name, inputs, signature, version)
        return outputs

    def _answer(self, name, inputs, signature, version):
        """Returns the outputs of a request that is sent until it is answered, and the version."""

        def attempt():
            try:
                answer = self._transport.predict(name, version, signature, inputs, self._timeout_s)
            except (BusyError, ValueError):
                self._has_answered = True
                raise
            self._has_answered = True
            return answer

        def patience_s():
            first_s = min(self._patience_s, FIRST_PATIENCE_S)
            return self._patience_s if self._has_answered else first_s

        try:
            return call_again(attempt, patience_s, self._closed.wait)
        except BusyError:
            raise
        except TryAgainError:
            # For the next request, which may be of another file, it is not waited as long again.
            self._has_answered = False
            raise

    def engine_for(
        self, task: "Task", name: str | None = None
    ) -> "Engine | Callable[[float | None], Engine]":
        """Returns a served model of a task.

        Args:
            task: the task.
            name: of the model; None for the task's default models.

        Returns:
            The engine; without a name, what gives it for a signal's sample rate.

        Raises:
            ConnectionError, ValueError: as `load`, or a model of another task.
        """
        if name is not None:
            return task.check(self.load(name))
        if len(task.default_models) == 1:
            return task.check(self.load(task.default_models[0]))
        # The server need not have all of them, but that it is there is seen before any work.
        with contextlib.suppress(ValueError):
            self.load(task.default_models[0])
        return lambda sample_rate_hz: task.check(self.load(task.default_model(sample_rate_hz)))

    def _facts(self, name, version, manifest):
        """Returns what a model tells of itself, else what a manifest does; and which version told.

        The version is None where it was the manifest, or where the server does not name it.
        """
        from tonezoo.pretrained import shipped_models
        from tonezoo.serving.manifest import read_facts, resolve_version

        query = {FACTS_INPUT: np.array([b""], object)}
        try:
            outputs, number = self._answer(name, query, FACTS_SIGNATURE, version)
        except ValueError as error:
            # Of a model that there is not, the server's message is all there is to say.
            if "signature" not in str(error).lower():
                raise
            if manifest is not None:
                return read_facts(Path(manifest).parent), None
            if name in shipped_models():
                return read_facts(resolve_version(shipped_models()[name])), None
            raise ValueError(
                f"{name} at {self.address} does not tell its facts. Give its manifest.json "
                "(manifest=PATH), or export it again."
            ) from error
        try:
            return json.loads(outputs[FACTS_OUTPUT][0]), number
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{name} at {self.address} tells no facts in JSON, so it is no model of tonezoo."
            ) from error

    def _predict_each(self, name, version, signature, inputs):
        """Returns the outputs of a batch, whose signals are sent in a request each."""
        count = len(next(iter(inputs.values())))

        def one(index):
            single = {key: value[index : index + 1] for key, value in inputs.items()}
            return self.predict(name, single, signature, version)

        outputs = list(self._pool.map(one, range(count)))
        return {key: np.concatenate([each[key] for each in outputs]) for key in outputs[0]}


def _resolve(address: str, protocol: str | None) -> tuple[str, str]:
    """Returns the protocol, and the address as its transport takes it."""
    parts = ADDRESS.fullmatch(address)
    if parts is None or not 0 < int(parts["port"]) < 2**16:
        raise ValueError(
            f"The server's address is {address!r}. Give HOST:PORT, such as localhost:8500, for "
            "gRPC, or http://HOST:PORT for REST."
        )
    protocol = protocol or ("rest" if parts["scheme"] else "grpc")
    if protocol not in PROTOCOLS or (protocol == "grpc" and parts["scheme"]):
        raise ValueError(
            f"The protocol is {protocol!r} for {address}. Give 'grpc' for HOST:PORT, or 'rest'."
        )
    place = f"{parts['host']}:{parts['port']}"
    return protocol, f"{parts['scheme'] or 'http://'}{place}" if protocol == "rest" else place
