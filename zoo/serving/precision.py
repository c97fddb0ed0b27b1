"""Exports in fewer bits: variables stored as float16, or the network computed in bfloat16."""

import numpy as np

FLOAT32, BFLOAT16 = "float32", "mixed_bfloat16"
DTYPES = (FLOAT32, BFLOAT16)
# By how much of its maximum the golden output may change where variables are stored as float16,
# and where the network computes in bfloat16, whose numbers are 1/256 apart.
HALF_TOLERANCE = 1e-3
BFLOAT16_TOLERANCE = 0.1
# How far the same bfloat16 network may be from its golden output on another processor, which adds
# up in another order.
BFLOAT16_GOLDEN_TOLERANCE = 0.03


def check_precision(dtype: str, half: bool, formats) -> None:
    """Raises ValueError for a dtype that is not offered, or what does not go with it."""
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}. Give {' or '.join(DTYPES)}.")
    if dtype != FLOAT32 and (half or formats):
        what = "half (--half), which computes in float32" if half else "formats, which take float32"
        raise ValueError(f"dtype {dtype} does not go with {what}. Export twice.")


def in_bfloat16(model, waveform: np.ndarray):
    """Returns a model of the same weights whose layers compute in bfloat16, and the difference.

    Its audio path, its input and its output stay float32.

    Args:
        model: a built model in float32.
        waveform: to compare the two on.

    Returns:
        The model, and the largest difference of the output, the maximum of float32's being 1.

    Raises:
        ValueError: the difference is more than `BFLOAT16_TOLERANCE`.
    """
    reduced = type(model).from_config({**model.get_config(), "dtype": BFLOAT16})
    reduced.build((None, None, model.channels))
    reduced.set_weights(model.get_weights())
    exact, output = (np.asarray(m(waveform, training=False), "float32") for m in (model, reduced))
    difference = float(np.abs(output - exact).max() / np.abs(exact).max())
    if not difference <= BFLOAT16_TOLERANCE:
        raise ValueError(
            f"bfloat16 changes the output by {difference:.3g} of its maximum (allowed: "
            f"{BFLOAT16_TOLERANCE:g}). Export the model in float32."
        )
    return reduced, difference


def round_to_half(model, waveform: np.ndarray) -> None:
    """Rounds a model's variables to float16, in float32, but for vectors.

    Raises:
        ValueError: the output for `waveform` changes by more than `HALF_TOLERANCE` of its maximum.
    """
    exact = np.asarray(model(waveform, training=False))
    rounded = [w.astype("float16") if is_matrix(w) else w for w in model.get_weights()]
    model.set_weights(rounded)
    difference = np.abs(np.asarray(model(waveform, training=False)) - exact).max()
    allowed = HALF_TOLERANCE * np.abs(exact).max()
    if not difference <= allowed:
        raise ValueError(
            f"Variables in float16 change the output by {difference:.3g} (allowed: {allowed:.3g}). "
            "Export the model without half (--half)."
        )


def is_matrix(variable) -> bool:
    """Tells whether a variable may be stored in fewer bits: not vectors, whose error is heard."""
    return len(variable.shape) > 1


def stored_variables(model, variables: list, *, half: bool) -> list:
    """Returns the TensorFlow variables that an export stores in place of Keras's, in their order.

    Args:
        model: in float32 or bfloat16.
        variables: of the model.
        half: True to store as float16.
    """
    import tensorflow as tf

    computed_in = {
        id(variable): layer.compute_dtype
        for layer in model._flatten_layers()  # a layer before those inside it
        for variable in layer.variables
    }

    def dtype_of(variable):
        if not is_matrix(variable) or "float" not in variable.dtype:
            return variable.dtype
        # Read as it is by the operations that compute with it, in half the traffic.
        reduced = computed_in[id(variable)] == "bfloat16"
        return "float16" if half else "bfloat16" if reduced else variable.dtype

    return [tf.Variable(tf.cast(v.value, dtype_of(v)), trainable=False) for v in variables]


def with_stored_variables(function, pairs: list):
    """Returns a signature in which Keras variables take the values of others.

    Those in float16 become float32; those in bfloat16 stay, since that is what is computed with.

    Args:
        function: a `tf.function` with an input signature.
        pairs: (Keras variable, TensorFlow variable that it is stored in).
    """
    import keras
    import tensorflow as tf

    @tf.function(input_signature=function.input_signature)
    def signature(*inputs):
        with keras.StatelessScope() as scope:
            for variable, stored in pairs:
                is_kept = stored.dtype in (tf.bfloat16, variable.dtype)
                value = tf.convert_to_tensor(stored)
                scope.add_update((variable, value if is_kept else tf.cast(value, variable.dtype)))
            return function.python_function(*inputs)

    return signature
