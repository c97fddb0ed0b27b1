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


def reflect_ends(x, left: int, right: int):
    """Returns `x` with its first and last samples mirrored at its ends, which are not repeated.

    Where there are too few, they are mirrored at the other end again.
    """
    time = ops.shape(x)[1]
    before = ops.arange(-left, 0, dtype="int32")
    after = ops.arange(right, dtype="int32") + time
    # Both ends at once: ONNX Runtime 1.32 takes the wrong sample where it is to take one alone.
    index = reflected(ops.concatenate([before, after]), time)
    ends = ops.take(x, index, axis=1)
    return ops.concatenate([ends[:, :left], x, ends[:, left:]], axis=1)


def reflected(index, length):
    """Returns `index` reflected, as often as needed, into 0 ... length - 1."""
    # Python's own integers would become what Keras's settings make of them.
    last = ops.convert_to_tensor(length, "int32") - 1
    period = ops.maximum(2 * last, 2)
    # What lies before the first sample mirrors what lies after it; ONNX has another remainder of
    # negative numbers.
    folded = period // 2 - ops.abs(ops.mod(ops.abs(index), period) - period // 2)
    return ops.minimum(folded, last)
