"""Limits of a server."""

import dataclasses

MAY_BE_ZERO = ("batch_timeout_ms", "grace_s")
UNREASONABLE = 10**9


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServingOptions:
    """The limits of a server, with the defaults of `tonezoo serve`.

    Attributes:
        max_batch_size: most signals that requests are joined to; 1 joins none.
        batch_timeout_ms: for how long the first request of a batch waits for others.
        queue_size: most requests that are read, wait or are computed at a time; more are refused
            with RESOURCE_EXHAUSTED, or 429.
        max_samples: most time steps of a request, and of a batch, all signals together: samples, or
            frames of mel spectrograms. The memory that a batch takes grows with it.
        max_message_mib: the largest request in MiB.
        rest_timeout_s: for how long a REST request may be sent and wait; gRPC has deadlines of its
            own.
        poll_s: how often the folder is looked at for new versions.
        grace_s: for how long a server that is to stop finishes what has come.
    """

    max_batch_size: int = 8
    batch_timeout_ms: float = 2.0
    queue_size: int = 128
    max_samples: int = 1_000_000
    max_message_mib: int = 64
    rest_timeout_s: float = 30.0
    poll_s: float = 2.0
    grace_s: float = 30.0

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if not 0 < value < UNREASONABLE and not (value == 0 and name in MAY_BE_ZERO):
                raise ValueError(
                    f"{name} is {value}, but has to be above 0 and below {UNREASONABLE:,}."
                )
