"""Weight normalisation: what a layer computes with it, and what it starts from."""

import keras
import numpy as np
import pytest
import signals

from tonezoo.layers import InterpolatedConv1D, SubpixelConv1D, TransposedConv1D, WeightNorm

LAYERS = {
    "Conv1D": lambda: keras.layers.Conv1D(3, 5, dilation_rate=3),
    "TransposedConv1D": lambda: TransposedConv1D(3, 4, 2),
    "SubpixelConv1D": lambda: SubpixelConv1D(3, 3, 2),
    "InterpolatedConv1D": lambda: InterpolatedConv1D(3, 5, 2),
    "Dense": lambda: keras.layers.Dense(3),
}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


@each_layer
def test_it_starts_as_the_layer_alone(make):
    layer = make()
    normalised, x = WeightNorm(layer), signals.noise(2, 30, 4)
    np.testing.assert_allclose(normalised(x), layer(x), atol=1e-6)


@each_layer
def test_it_computes_with_gain_times_direction(make):
    layer = make()
    normalised, x = WeightNorm(layer), signals.noise(2, 30, 4)
    normalised.build(x.shape)
    rng = np.random.default_rng(0)
    kernel, gain = rng.normal(size=layer.kernel.shape), rng.normal(size=normalised.gain.shape)
    normalised.set_weights([gain, kernel, *normalised.get_weights()[2:]])
    output = np.asarray(normalised(x))
    norms = np.sqrt((kernel**2).reshape(-1, kernel.shape[-1]).sum(axis=0))
    np.testing.assert_allclose(normalised.normalised_kernel(), gain * kernel / norms, rtol=1e-5)
    layer.set_weights([gain * kernel / norms, *layer.get_weights()[1:]])
    np.testing.assert_allclose(output, layer(x), atol=1e-5)


def test_a_longer_direction_changes_nothing():
    normalised, x = WeightNorm(LAYERS["Conv1D"]()), signals.noise(2, 30, 4)
    before = np.asarray(normalised(x))
    gain, kernel, bias = normalised.get_weights()
    normalised.set_weights([gain, 7 * kernel, bias])
    np.testing.assert_allclose(normalised(x), before, atol=1e-6)


def test_training_moves_gains_and_directions_apart():
    normalised, x = WeightNorm(keras.layers.Dense(2)), signals.noise(8, 3, std=1.0)
    model = keras.Sequential([keras.Input((3,)), normalised])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    gain, kernel, _ = normalised.get_weights()
    model.fit(x, np.ones((8, 2)), batch_size=8, verbose=0)
    new_gain, new_kernel, _ = normalised.get_weights()
    # The gradient of the direction is orthogonal to it.
    np.testing.assert_allclose(((new_kernel - kernel) * kernel).sum(axis=0), 0, atol=1e-6)
    assert np.abs(new_gain - gain).min() > 1e-4 and np.abs(new_kernel - kernel).max() > 1e-4


def test_a_kernel_of_zeros_stays_finite():
    normalised = WeightNorm(keras.layers.Dense(2, kernel_initializer="zeros"))
    assert not np.asarray(normalised(np.ones((1, 3)))).any()


def test_a_layer_without_a_kernel_is_refused():
    with pytest.raises(ValueError, match=r"takes a layer with one kernel.*ReLU with 0"):
        WeightNorm(keras.layers.ReLU())(np.ones((1, 3)))
