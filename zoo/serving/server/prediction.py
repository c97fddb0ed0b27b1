"""From a request of any protocol to outputs: checked, joined with others, computed."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING

from tonezoo.serving.server.batching import Arrays, BatcherClosed, Work
from tonezoo.serving.server.errors import Code, RequestError, hung_up
from tonezoo.serving.server.models import ModelStore
from tonezoo.serving.server.options import ServingOptions
from tonezoo.serving.server.signatures import Signature

if TYPE_CHECKING:
    from tonezoo.serving.server.loading import LoadedVersion

# By how much gRPC's clock may tell the end of a deadline before ours does.
EARLY_S = 0.01


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionRequest:
    """What a client asks for.

    Attributes:
        model: its name.
        version: None for the newest.
        signature: "" for the default one.
        output_filter: the outputs wanted; none for all.
        timeout_s: for how long it is waited for, None for as long as it takes.
        read_inputs: read_inputs(signature) returns the inputs as arrays, each one's type and shape
            checked by `Signature.check_input`.
    """

    model: str
    version: int | None = None
    signature: str = ""
    output_filter: Sequence[str] = ()
    timeout_s: float | None = None
    read_inputs: Callable[[Signature], Arrays]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Submitted:
    """A request on its way.

    Attributes:
        model, version, signature: what computes it.
        output_names: the outputs that were asked for.
        deadline: on the clock of `time.monotonic`, or None.
        future: gives all outputs.
    """

    model: str
    version: int
    signature: str
    output_names: Sequence[str]
    deadline: float | None
    future: "Future[Arrays]"

    def outputs(self, timeout_s: float | None = None) -> Arrays:
        """Waits for the outputs that were asked for, and returns them.

        Raises:
            RequestError: why there are none.
        """
        try:
            arrays = self.future.result(timeout_s)
        except (TimeoutError, CancelledError) as error:
            # What is not begun will not be computed.
            self.future.cancel()
            is_late = self.deadline is not None and time.monotonic() >= self.deadline - EARLY_S
            if isinstance(error, CancelledError) and not is_late:
                raise hung_up() from None
            raise RequestError(
                Code.DEADLINE_EXCEEDED, "The deadline passed before the outputs were computed."
            ) from None
        return {name: arrays[name] for name in self.output_names}


class Predictor:
    """Takes requests for the models of a store, up to a number at a time."""

    def __init__(self, store: "ModelStore[LoadedVersion]", options: ServingOptions):
        self._store, self._max_samples = store, options.max_samples
        self._queue_size = options.queue_size
        self._places = threading.BoundedSemaphore(options.queue_size)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """Takes a place for a request, before it is read into memory, until it is answered.

        Raises:
            RequestError: RESOURCE_EXHAUSTED; there are too many.
        """
        if not self._places.acquire(blocking=False):
            raise RequestError(
                Code.RESOURCE_EXHAUSTED,
                f"There are {self._queue_size} requests before this one already. Try again later, "
                "after a pause that grows with each try.",
            )
        try:
            yield
        finally:
            self._places.release()

    def submit(self, request: PredictionRequest) -> Submitted:
        """Checks a request that has a place, and puts it in the queue.

        Raises:
            RequestError: it cannot be answered.
        """
        deadline = None if request.timeout_s is None else time.monotonic() + request.timeout_s
        while True:
            version = self._store.find(request.model, request.version)
            signature = version.signature(request.signature)
            output_names = signature.filtered_outputs(request.output_filter)
            inputs = request.read_inputs(signature)
            signature.check_values(inputs, self._max_samples)
            work = Work(
                function=version.function(signature.name),
                inputs=inputs,
                deadline=deadline,
                **_size(signature, inputs),
            )
            try:
                version.batcher.submit(work)
            except BatcherClosed:
                continue  # Another version took its place in between.
            return Submitted(
                model=request.model,
                version=version.number,
                signature=signature.name,
                output_names=output_names,
                deadline=deadline,
                future=work.future,
            )


def _size(signature: Signature, inputs: Arrays) -> dict:
    """Returns with what a request may be joined, and how large it is."""
    samples = max(
        (signature.inputs[name].samples(array.shape) for name, array in inputs.items()), default=1
    )
    if not signature.can_batch:
        return {"key": None, "samples": samples}
    names = sorted(inputs)
    return {
        "key": (signature.name, *(inputs[name].shape[1:] for name in names)),
        "signals": len(inputs[names[0]]),
        "samples": samples,
    }
