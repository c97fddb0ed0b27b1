"""SnakeBeta1D: its formula, the antiderivative form as an integral, and gradients on constants."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from signals import noise

from tonezoo.layers import FilteredActivation1D, SnakeBeta1D

ALPHA, BETA = np.array([0.5, 3.0]), np.array([2.0, 0.25])


def snake(x):
    return x + np.sin(ALPHA * x) ** 2 / BETA


def mean_of_snake(start, end):
    """Integrates over the straight line between two arrays, by Gauss and Legendre."""
    points, weights = np.polynomial.legendre.leggauss(40)
    line = start + np.multiply.outer((points + 1) / 2, end - start)
    return np.tensordot(weights / 2, snake(line), axes=1)


def layer_with_weights(antiderivative, dtype="float64"):
    layer = SnakeBeta1D(antiderivative, dtype=dtype)
    layer.build((None, None, 2))
    layer.set_weights([np.log(ALPHA), np.log(BETA)])
    return layer


def test_it_is_the_formula_with_weights_for_every_channel():
    x = noise(1, 50, 2, std=1.0)
    np.testing.assert_allclose(layer_with_weights(False)(x), snake(x.astype("float64")), atol=1e-12)


def test_the_antiderivative_form_is_the_mean_over_the_line_between_two_samples():
    x = noise(1, 50, 2, std=1.0).astype("float64")
    before = np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    expected = mean_of_snake(before, x)
    np.testing.assert_allclose(layer_with_weights(True)(x), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(expected[:, 0], snake(x[:, 0]), atol=1e-12)


@pytest.mark.parametrize("step", [0.0, 1e-30, 1e-12, 1e-6, 1e-3, 3e-3, 1e-2, 2e-2])
def test_small_steps_are_as_exact_as_float32_is(step):
    x = np.array([0.7, 0.7 + step])[None, :, None] * np.ones(2)
    expected = layer_with_weights(True)(x)
    np.testing.assert_allclose(expected[0, 1], mean_of_snake(x[0, 0], x[0, 1]), rtol=0, atol=1e-9)
    single = layer_with_weights(True, "float32")
    tensor = tf.constant(x, "float32")
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = single(tensor)
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-6)
    # What both samples move: the slope of the function, as for a constant.
    slope = 1 + ALPHA * np.sin(2 * ALPHA * 0.7) / BETA
    if step < 1e-3:
        moved = np.sum(tape.gradient(y, tensor)[0], axis=0)
        np.testing.assert_allclose(moved, 2 * slope, rtol=1e-3)


def test_the_filtered_form_has_the_weights_and_the_reach_of_the_layer_inside():
    layer = FilteredActivation1D(SnakeBeta1D(antiderivative=True))
    plain = FilteredActivation1D(SnakeBeta1D())
    layer.build((None, None, 2))
    assert [weight.shape for weight in layer.weights] == [(2,), (2,)]
    with pytest.raises(ValueError, match="expected axis -1"):
        layer(np.zeros((1, 5, 3)))
    y = np.array(layer(np.eye(41)[:, :, None] * np.ones(2)))[:, 20, 0]
    used = np.flatnonzero(abs(y - y[0]) > 1e-9) - 20
    assert layer.context == (-used[0], used[-1])
    assert layer.context[0] >= plain.context[0] and layer.context[1] == plain.context[1]
    copy = FilteredActivation1D.from_config(layer.get_config())
    assert copy.activation.antiderivative and isinstance(copy.activation, keras.layers.Layer)
