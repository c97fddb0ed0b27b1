"""The bidirectional LSTM against Keras's own."""

from functools import partial

import keras
import numpy as np
import pytest
import signals
import tensorflow as tf

from tonezoo.layers import BidirectionalLSTM

UNITS, CHANNELS = 5, 3
INITIALIZERS = ("kernel_initializer", "recurrent_initializer", "bias_initializer")


noise = partial(signals.noise, std=1.0)


def pair(use_bias=True, dtype="float32"):
    """Returns a layer of ours and Keras's with the same weights, both built."""
    ours = BidirectionalLSTM(UNITS, use_bias, dtype=dtype)
    ours.build((None, None, CHANNELS))
    lstm = keras.layers.LSTM(
        UNITS,
        return_sequences=True,
        use_bias=use_bias,
        recurrent_initializer="zeros",  # the default has no bfloat16
        dtype=dtype,
    )
    theirs = keras.layers.Bidirectional(lstm, dtype=dtype)
    theirs.build((None, None, CHANNELS))
    ours.set_weights([0.5 * noise(*weight.shape) for weight in ours.weights])
    for direction, layer in enumerate((theirs.forward_layer, theirs.backward_layer)):
        values = [ours.kernels[direction], ours.rnn.cell.recurrent_kernels[direction]]
        if use_bias:
            values.append(ours.biases[direction])
        layer.set_weights([value.numpy() for value in values])
    return ours, theirs


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("time", [1, 2, 17])
def test_outputs_are_those_of_keras(use_bias, time):
    ours, theirs = pair(use_bias)
    assert ours.count_params() == theirs.count_params()
    x = noise(4, time, CHANNELS)
    assert ours.compute_output_shape(x.shape) == (4, time, 2 * UNITS)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_keras(masked):
    ours, theirs = pair()
    x, upstream = tf.constant(noise(4, 9, CHANNELS)), noise(4, 9, 2 * UNITS)
    mask = tf.constant(noise(4, 9) > -0.5) if masked else None
    if masked:
        # What comes out at an invalid step is no one's business.
        upstream = upstream * mask.numpy()[:, :, None]

    @tf.function(input_signature=[tf.TensorSpec((None, None, CHANNELS))])
    def outputs(x):
        return ours(x, mask=mask, training=True)

    def gradients(layer, weights):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = outputs(x) if layer is ours else layer(x, mask=mask, training=True)
        return tape.gradient(y, [x, *(w.value for w in weights)], output_gradients=upstream)

    ours_weights = [
        weights[direction]
        for direction in range(2)
        for weights in (ours.kernels, ours.rnn.cell.recurrent_kernels, ours.biases)
    ]
    pairs = zip(gradients(ours, ours_weights), gradients(theirs, theirs.weights), strict=True)
    for actual, expected in pairs:
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16", "float32"])
def test_gradients_with_a_mask_of_valid_steps_alone_are_those_without(dtype):
    layer, _ = pair(dtype=dtype)
    # Forget gates near 1, which would come out as 1 if they were added to it.
    layer.biases[0].assign(noise(4 * UNITS) + 5)
    x = tf.constant(noise(2, 60, CHANNELS))

    def gradients(**options):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cast(layer(x, **options), "float32")
        return tape.gradient(y, [x, *layer.trainable_variables])

    for masked, plain in zip(gradients(mask=tf.ones((2, 60), bool)), gradients(), strict=True):
        assert np.abs(plain).max() > 0
        np.testing.assert_allclose(masked, plain, rtol=1e-5, atol=1e-6)


def test_the_second_half_reads_backwards():
    layer = BidirectionalLSTM(UNITS)
    x = noise(1, 8, CHANNELS)
    changed = x.copy()
    changed[:, 3] += 1
    differs = np.any(np.abs(layer(x) - layer(changed)) > 0, axis=0)
    assert differs[:, :UNITS].any(axis=1).tolist() == 3 * [False] + 5 * [True]
    assert differs[:, UNITS:].any(axis=1).tolist() == 4 * [True] + 4 * [False]


# Roundings of 2^-9 and 2^-12, accumulated over the steps.
@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.02), ("float16", 0.003)])
@pytest.mark.parametrize("mixed", [True, False])
def test_half_precision(dtype, tolerance, mixed):
    reference, _ = pair()
    layer, _ = pair(dtype=f"mixed_{dtype}" if mixed else dtype)
    assert {weight.dtype for weight in layer.weights} == {"float32" if mixed else dtype}
    x = noise(4, 17, CHANNELS)
    y = layer(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(tf.cast(y, "float32"), reference(x), rtol=0, atol=tolerance)


def test_symbolic_and_dynamic_lengths():
    layer = BidirectionalLSTM(UNITS)
    inputs = keras.Input((None, CHANNELS))
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, None, 2 * UNITS)
    for time in (1, 6):
        x = noise(2, time, CHANNELS)
        np.testing.assert_allclose(model(x), layer(x), rtol=0, atol=1e-6)


def test_no_two_weights_start_alike():
    uniform = keras.initializers.RandomUniform(-0.5, 0.5)
    layer = BidirectionalLSTM(UNITS, **dict.fromkeys(INITIALIZERS, uniform))
    layer.build((None, None, UNITS))
    starts = [weight[..., :8].numpy().ravel()[:8] for weight in layer.weights]
    assert len(starts) == 6
    assert all(not np.allclose(a, b) for i, a in enumerate(starts) for b in starts[:i])


def test_configuration_round_trip(tmp_path):
    layer = BidirectionalLSTM(
        UNITS,
        False,
        keras.initializers.RandomUniform(-0.1, 0.2),
        kernel_regularizer="l2",
        dtype="mixed_bfloat16",
    )
    config = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(config)
    assert keras.saving.serialize_keras_object(copy) == config
    assert (copy.units, copy.use_bias, copy.compute_dtype) == (UNITS, False, "bfloat16")
    assert copy.kernel_initializer.maxval == 0.2

    inputs = keras.Input((None, CHANNELS))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = noise(2, 7, CHANNELS)
    np.testing.assert_array_equal(tf.cast(loaded(x), "float32"), tf.cast(model(x), "float32"))


def test_reduced_precision_takes_the_weights_as_float32_does():
    """The recurrent kernels are transposed for it: not square, their places would show."""
    exact = BidirectionalLSTM(UNITS)
    x = noise(2, 9, CHANNELS)
    mask = np.arange(9)[None] < np.array([[9], [5]])
    expected = np.asarray(exact(x, mask=mask))
    reduced = BidirectionalLSTM(UNITS, dtype="mixed_bfloat16")
    reduced.build(x.shape)
    reduced.set_weights(exact.get_weights())
    output = np.asarray(tf.cast(reduced(x, mask=mask), "float32"))
    np.testing.assert_allclose(output, expected, rtol=0, atol=0.02)
    inside = tf.function(lambda x: reduced(x, mask=mask))(x)
    np.testing.assert_allclose(tf.cast(inside, "float32"), expected, rtol=0, atol=0.02)
