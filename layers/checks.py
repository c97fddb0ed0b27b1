"""Checks of inputs that the layers share."""


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
