"""Extension of signals (batch, time, channels) beyond their ends."""

from keras import ops


def hold_ends(x, left: int, right: int):
    """Returns `x` with `left` copies of its first and `right` copies of its last sample around."""
    parts = [x]
    if left:
        parts.insert(0, ops.repeat(x[:, :1], left, axis=1))
    if right:
        parts.append(ops.repeat(x[:, -1:], right, axis=1))
    return ops.concatenate(parts, axis=1) if len(parts) > 1 else x
