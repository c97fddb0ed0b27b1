"""Why a request is not answered, whatever protocol it came by."""

import enum

# Of a message, in bytes of UTF-8: gRPC sends it in the trailing metadata, where each byte beyond
# ASCII takes three, and clients limit that to 8 KiB.
LONGEST_MESSAGE = 2000


class Code(enum.Enum):
    """gRPC's status codes by their numbers, with the HTTP status that stands for each in REST."""

    OK = (0, 200)
    CANCELLED = (1, 499)
    UNKNOWN = (2, 500)
    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    ALREADY_EXISTS = (6, 409)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    FAILED_PRECONDITION = (9, 400)
    ABORTED = (10, 409)
    OUT_OF_RANGE = (11, 400)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)
    DATA_LOSS = (15, 500)
    UNAUTHENTICATED = (16, 401)

    @property
    def number(self) -> int:
        return self.value[0]

    @property
    def http_status(self) -> int:
        return self.value[1]

    @classmethod
    def of_number(cls, number: int) -> "Code":
        """Returns the code of a number, INTERNAL for one that gRPC does not have.

        Example:

        >>> Code.of_number(5), Code.of_number(99).name
        (<Code.NOT_FOUND: (5, 404)>, 'INTERNAL')
        """
        return next((code for code in cls if code.number == number), cls.INTERNAL)


class RequestError(Exception):
    """A request that is not answered: the code for programs, the message for people.

    Args:
        code: which kind of error.
        message: what was received, what is accepted.
    """

    def __init__(self, code: Code, message: str):
        super().__init__(message)
        self.code = code
        self.message = shortened(message)


def shortened(message: str) -> str:
    """Returns a message that gRPC carries, with an ellipsis in place of what is beyond that.

    Example:

    >>> len(shortened(3000 * "a")), len(shortened(3000 * "é")), shortened(2001 * "a")[-5:]
    (2000, 1001, 'aa...')
    """
    encoded = message.encode(errors="replace")
    if len(encoded) <= LONGEST_MESSAGE:
        return encoded.decode()
    # A character that the limit cuts in two goes.
    return encoded[: LONGEST_MESSAGE - 3].decode(errors="ignore") + "..."


def invalid(message: str) -> RequestError:
    """Returns the error of a request that can never be answered as it is."""
    return RequestError(Code.INVALID_ARGUMENT, message)


def hung_up() -> RequestError:
    """Returns the error of a request whose client no longer waits: for the metrics and the log."""
    return RequestError(Code.CANCELLED, "The client has hung up.")
