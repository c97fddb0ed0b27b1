"""Checks of arguments and inputs that the layers share."""

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


def check_signal(layer, inputs) -> None:
    """Raises a ValueError for inputs that no layer of signals can take."""
    shape = getattr(inputs, "shape", None)
    if shape is None or len(shape) != 3:
        return  # Keras's own messages are clear.
    name = type(layer).__name__
    # keras.ops has no name for it.
    if getattr(inputs, "ragged_rank", None) is not None:
        raise ValueError(
            f"{name} needs a dense tensor (batch, time, channels). Received a ragged one of shape "
            f"{tuple(shape)}: pad it, for example with to_tensor(), or pass one signal at a time"
        )
    if shape[1] == 0:
        raise ValueError(
            f"{name} needs at least one sample on the time axis (axis 1). Received an input of "
            f"shape {tuple(shape)}"
        )
    if shape[2] is None:
        raise ValueError(
            f"{name} needs to know the number of channels, the last axis of (batch, time, "
            f"channels); the others may be None. Received an input of shape {tuple(shape)}"
        )
