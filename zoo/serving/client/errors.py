"""What a server that does not answer as hoped is told of by, whatever the protocol."""


class TryAgainError(ConnectionError):
    """No server, or one that has no place for a request now: the next try may go well."""


def unreachable(address: str, reason: str) -> TryAgainError:
    return TryAgainError(
        f"No server answers at {address} ({reason}). Start one (`tonezoo serve`, or TensorFlow "
        "Serving), or give the address of one: HOST:PORT of its gRPC, or http://HOST:PORT of its "
        "REST."
    )


def busy(address: str, reason: str) -> TryAgainError:
    return TryAgainError(
        f"The server at {address} takes no more requests for now ({reason}). Try again later, or "
        "with fewer requests in flight."
    )


def too_slow(address: str, timeout_s: float) -> ConnectionError:
    return ConnectionError(
        f"The server at {address} did not answer within {timeout_s:g} s. Send less at once, such "
        "as a shorter segment, or allow it more time (timeout_s)."
    )


def refused(address: str, reason: str) -> ValueError:
    return ValueError(f"The server at {address} refuses this: {reason}")
