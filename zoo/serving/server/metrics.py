"""What the server tells Prometheus of itself."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from tonezoo.serving.server.errors import Code, RequestError
from tonezoo.serving.server.models import ModelStore

if TYPE_CHECKING:
    from tonezoo.serving.server.loading import LoadedVersion

PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIGNALS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counts requests and batches, in a registry of its own."""

    def __init__(self):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "tonezoo_requests",
            "Requests for predictions by model, protocol and status; model is empty for one that "
            "is not served.",
            ["model", "protocol", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "tonezoo_request_seconds",
            "From a request's arrival to its answer.",
            ["model", "protocol"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._batch_signals = Histogram(
            "tonezoo_batch_signals",
            "Signals that were computed together.",
            ["model"],
            buckets=SIGNALS,
            registry=self.registry,
        )
        self._batch_seconds = Histogram(
            "tonezoo_batch_seconds",
            "Computation of a batch.",
            ["model"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._queue = Gauge(
            "tonezoo_queue_requests",
            "Requests that wait for their computation to begin.",
            ["model"],
            registry=self.registry,
        )
        self._version = Gauge(
            "tonezoo_served_version",
            "Version of the model that is served.",
            ["model"],
            registry=self.registry,
        )

    def observe_batch(self, model: str, signals: int, seconds: float) -> None:
        self._batch_signals.labels(model).observe(signals)
        self._batch_seconds.labels(model).observe(seconds)

    @contextlib.contextmanager
    def request(
        self, model: str, protocol: str, store: "ModelStore[LoadedVersion]"
    ) -> Iterator[None]:
        """Counts the request that the block answers, by the error that it raises if it does."""
        # Names that clients make up would be new time series each.
        model = model if model in store.served else ""
        started = time.perf_counter()
        code = Code.OK
        try:
            yield
        except RequestError as error:
            code = error.code
            raise
        except BaseException:
            code = Code.INTERNAL
            raise
        finally:
            self._requests.labels(model, protocol, code.name).inc()
            seconds = time.perf_counter() - started
            self._request_seconds.labels(model, protocol).observe(seconds)

    def page(self, store: "ModelStore[LoadedVersion]") -> bytes:
        """Returns the metrics in Prometheus's text format."""
        self._queue.clear()
        self._version.clear()
        for name, version in store.served.items():
            self._queue.labels(name).set(len(version.batcher))
            self._version.labels(name).set(version.number)
        return generate_latest(self.registry)
