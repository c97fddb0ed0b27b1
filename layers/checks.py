"""Checks of constructor arguments that the layers share."""

import numbers


def integer(name, value, least=1):
    """Return `value` as an int; raise ValueError unless it is an integer, `least` or more."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(
            f"{name} must be an integer of at least {least}. Received: {name}={value!r}"
        )
    return int(value)


def one_of(name, value, accepted):
    """Return `value`; raise ValueError that lists the accepted ones if it is none of them."""
    if value not in tuple(accepted):
        choices = ", ".join(repr(choice) for choice in accepted)
        raise ValueError(f"{name} must be one of {choices}. Received: {name}={value!r}")
    return value


def not_empty(layer, input_shape):
    """Raise ValueError if the time axis of `input_shape` is known to have no samples."""
    if input_shape[1] == 0:
        raise ValueError(
            f"{type(layer).__name__} needs at least one sample on the time axis (axis 1). "
            f"Received an input of shape {tuple(input_shape)}"
        )
