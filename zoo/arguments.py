"""Checks of arguments that layers, models and filters share."""

import numbers
from collections.abc import Iterable, Sequence


def integer(name: str, value, least: int = 1) -> int:
    """Returns `value` as an int.

    Raises:
        ValueError: it is no integer, or below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(
            f"{name} must be an integer of at least {least}. Received: {name}={value!r}"
        )
    return int(value)


def one_integer(name: str, value: int | Sequence[int]) -> int:
    """Returns `value`, or the one entry that it has, as an int: Keras takes 9 and (9,).

    Raises:
        ValueError: it is neither, or below 1.
    """
    if isinstance(value, list | tuple) and len(value) == 1:
        (value,) = value
    return integer(name, value)


def one_of(name: str, value, accepted: Iterable):
    """Returns `value`.

    Raises:
        ValueError: it is none of the accepted ones; the message lists them.
    """
    if value not in tuple(accepted):
        choices = ", ".join(repr(choice) for choice in accepted)
        raise ValueError(f"{name} must be one of {choices}. Received: {name}={value!r}")
    return value
