"""Requests by gRPC."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tonezoo.serving.client import errors

METHOD = "/tensorflow.serving.PredictionService/Predict"
OPTIONS = (
    # 4 MiB by default: seconds of stereo.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Up to two minutes by default: who waits for a server to return has own patience.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class GrpcTransport:
    """Sends requests to a server's gRPC port.

    Args:
        address: HOST:PORT.

    Raises:
        ImportError: grpcio or protobuf is missing.
    """

    def __init__(self, address: str):
        try:
            import grpc

            from tonezoo.serving.client import messages
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{error.name} is not installed. Requests by gRPC need it: pip install "
                "'tonezoo[client]'. Those by REST, to http://HOST:PORT, do not."
            ) from error
        self._address = address
        self._messages: Any = messages
        self._grpc: Any = grpc
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._predict = self._channel.unary_unary(
            METHOD,
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=messages.PredictResponse.FromString,
        )

    def predict(
        self,
        model: str,
        version: int | None,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        timeout_s: float,
    ) -> tuple[dict[str, np.ndarray], int | None]:
        """Returns the outputs of a signature by name, and the version that gave them if told.

        Args:
            model, version, signature, inputs: see `tonezoo.serving.client.Client.predict`.
            timeout_s: seconds in which the request has to be answered.

        Raises:
            TryAgainError: no server, or one that has no place for the request now.
            ConnectionError: no answer in time.
            ValueError: the server refuses the request.
        """
        request = self._messages.predict_request(model, version, signature, inputs)
        try:
            response = self._predict(request, timeout=timeout_s)
        except self._grpc.RpcError as error:
            raise self._explained(error, timeout_s) from error
        outputs = {
            name: self._messages.to_array(tensor) for name, tensor in response.outputs.items()
        }
        spec = response.model_spec
        return outputs, spec.version.value if spec.HasField("version") else None

    def _explained(self, error, timeout_s):
        code, codes = error.code(), self._grpc.StatusCode
        reason = " ".join((error.details() or code.name).split())
        # CANCELLED comes of a server that stops in the middle of a request.
        if code in (codes.UNAVAILABLE, codes.CANCELLED):
            return errors.unreachable(self._address, reason)
        # The same code tells of a message that is too large, which it will stay.
        if code is codes.RESOURCE_EXHAUSTED and "larger than max" not in reason:
            return errors.busy(self._address, reason)
        if code is codes.DEADLINE_EXCEEDED:
            return errors.too_slow(self._address, timeout_s)
        if code is codes.NOT_FOUND:
            return errors.not_found(self._address, reason)
        return errors.refused(self._address, reason)

    def close(self) -> None:
        """Ends what is under way."""
        self._channel.close()
