"""Errors of a server that does not answer, by any protocol."""


class TryAgainError(ConnectionError):
    """A request that was not answered: the next try may go well."""


class BusyError(TryAgainError):
    """A server that is there, but has no place for a request now."""


class NotFoundError(ValueError):
    """A server that has no such model, or no such version of it."""


def unreachable(address: str, reason: str) -> TryAgainError:
    return TryAgainError(
        f"No server answers at {address} ({reason}). Start one (`tonezoo serve`, or TensorFlow "
        "Serving), or give the address of one: HOST:PORT of its gRPC, or http://HOST:PORT of its "
        "REST."
    )


def busy(address: str, reason: str) -> BusyError:
    return BusyError(
        f"The server at {address} takes no more requests for now ({reason}). Try again later, or "
        "with fewer requests in flight."
    )


def too_slow(address: str, timeout_s: float) -> ConnectionError:
    return ConnectionError(
        f"The server at {address} did not answer within {timeout_s:g} s. Send less at once, such "
        "as a shorter segment, or allow it more time (timeout_s)."
    )


def gave_up(address: str, reason: str) -> ConnectionError:
    return ConnectionError(
        f"The server at {address} gave up a request ({reason}). Send less at once, such as a "
        "shorter segment, or allow it more time: --rest-timeout-s of `tonezoo serve`, "
        "--rest_api_timeout_in_ms of TensorFlow Serving."
    )


def refused(address: str, reason: str) -> ValueError:
    return ValueError(_refusal(address, reason))


def not_found(address: str, reason: str) -> NotFoundError:
    return NotFoundError(_refusal(address, reason))


def _refusal(address, reason):
    return f"The server at {address} refuses this: {reason}"
