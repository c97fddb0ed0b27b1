"""Trying again, after waits that grow."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from tonezoo.serving.client.errors import TryAgainError

Result = TypeVar("Result")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0


def call_again(
    attempt: Callable[[], Result],
    patience_s: Callable[[], float],
    wait: Callable[[float], bool],
) -> Result:
    """Returns what `attempt` returns, called again as long as it raises `TryAgainError`.

    Args:
        attempt: what may fail.
        patience_s: gives the seconds after which no other attempt is begun, which a failure may
            change.
        wait: waits for so many seconds; True to give up.

    Raises:
        TryAgainError: that of the last attempt.
    """
    start, longest_s = time.monotonic(), FIRST_WAIT_S
    while True:
        try:
            return attempt()
        except TryAgainError:
            wait_s = longest_s * random.uniform(0.5, 1)
            if time.monotonic() + wait_s > start + patience_s() or wait(wait_s):
                raise
            longest_s = min(2 * longest_s, LONGEST_WAIT_S)
