"""The server: gRPC and REST over the models of a folder, in this process."""

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tonezoo.extras import import_extra
from tonezoo.serving.server.models import ModelStore
from tonezoo.serving.server.options import ServingOptions
from tonezoo.sockets import address, listening_socket

LOOPBACK = "127.0.0.1"
# Beside those that wait for predictions: health, status and refusals are always answered.
SPARE_THREADS = 8
NEEDED = ("grpc_health.v1", "orjson", "prometheus_client", "starlette", "tensorflow_serving.apis")


class Server:
    """Serves exported models over gRPC and REST, as TensorFlow Serving does; a context manager.

    Ports are bound and the models loaded when it is made, requests answered from `start` on.

    Args:
        models_dir: folder whose folders are models, with versions in them; or that of one model.
        host: address to listen at. Whoever reaches it can use the models: there is no
            authentication and no encryption.
        port: of gRPC; 0 for any free one.
        rest_port: of REST; 0 for any free one.
        options: limits.
        report: receives a line for each version that is served, given up or refused.

    Attributes:
        port, rest_port: those that are bound.

    Raises:
        ValueError: a port that is in use, no models, or none that can be served.
        ImportError: a package of the extra `serve` is missing.

    Example:

    >>> import urllib.request
    >>> from tonezoo.pretrained import shipped_models
    >>> folder = shipped_models()["mu_gan_speech_x4"]
    >>> with Server(folder, port=0, rest_port=0, report=print) as server:
    ...     url = f"http://127.0.0.1:{server.rest_port}/v1/models/mu_gan_speech_x4"
    ...     body = b'{"instances": [[[0.0], [0.1], [0.2]]]}'
    ...     print(len(urllib.request.urlopen(f"{url}:predict", body).read()) > 100)
    mu_gan_speech_x4: version 1 is served.
    True
    mu_gan_speech_x4: version 1 is no longer served.
    """

    def __init__(
        self,
        models_dir: str | os.PathLike,
        *,
        host: str = LOOPBACK,
        port: int = 8500,
        rest_port: int = 8501,
        options: ServingOptions | None = None,
        report: Callable[[str], None] = lambda line: None,
    ):
        for package in NEEDED:
            import_extra(package, "serve", "Serving models needs")
        from tonezoo.serving.server.loading import LoadedVersion
        from tonezoo.serving.server.metrics import Metrics
        from tonezoo.serving.server.prediction import Predictor

        self.options = options = options or ServingOptions()
        self.metrics = Metrics()
        self._store = ModelStore(
            models_dir,
            lambda name, number, folder: LoadedVersion(
                name, number, folder, options, self.metrics.observe_batch
            ),
            report,
        )
        self._predictor = Predictor(self._store, options)
        with contextlib.ExitStack() as undo:
            # Before seconds of loading: a port that is taken is told at once.
            self._socket = listening_socket(host, rest_port, "--rest-port")
            undo.callback(self._socket.close)
            self._rest = self._rest_server()
            with listening_socket(host, port, "--port") as held:
                undo.callback(self._store.stop)
                self._store.start(options.poll_s)
                port = held.getsockname()[1]
            # Last: a server of gRPC that was never started cannot be told to let go of its port.
            self._grpc = self._grpc_server()
            self.port = self._grpc.add_insecure_port(address(host, port))
            undo.pop_all()
        self.rest_port = self._socket.getsockname()[1]
        self._rest_thread = threading.Thread(
            target=self._rest.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def _grpc_server(self):
        import grpc
        from grpc_health.v1 import health, health_pb2_grpc
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        from tonezoo.serving.server import grpc_service

        options = self.options
        server = grpc.server(
            ThreadPoolExecutor(options.queue_size + SPARE_THREADS, thread_name_prefix="grpc"),
            options=[
                ("grpc.max_receive_message_length", options.max_message_mib * 2**20),
                ("grpc.max_send_message_length", -1),
                # Two servers on one port would each get some of the requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            grpc_service.PredictionServicer(self._store, self._predictor, self.metrics, options),
            server,
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            grpc_service.ModelServicer(self._store), server
        )
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        return server

    def _rest_server(self):
        uvicorn = import_extra("uvicorn", "serve", "Serving models needs")
        from tonezoo.serving.server.rest import rest_app

        app = rest_app(self._store, self._predictor, self.metrics, self.options)
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=max(1, round(self.options.grace_s)),
        )
        return uvicorn.Server(config)

    @property
    def served(self) -> dict[str, int]:
        """Name -> version of the models that are served."""
        return {name: version.number for name, version in self._store.served.items()}

    def start(self) -> None:
        """Answers requests from now on."""
        from grpc_health.v1 import health_pb2

        from tonezoo.serving.server.grpc_service import SERVICES

        self._grpc.start()
        self._rest_thread.start()
        for service in ("", *SERVICES):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def stop(self) -> None:
        """Refuses new requests, finishes those that have begun, and returns.

        What is not finished after the options' `grace_s` is given up, but for a computation that
        runs.
        """
        self._health.enter_graceful_shutdown()
        stopped = self._grpc.stop(self.options.grace_s)
        self._rest.should_exit = True
        stopped.wait()
        if self._rest_thread.is_alive():
            self._rest_thread.join(self.options.grace_s + 1)
        self._store.stop()
        self._socket.close()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *error) -> None:
        self.stop()
