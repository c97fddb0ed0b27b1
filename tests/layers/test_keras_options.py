"""The convolutions take what Keras's own take, and say clearly what they cannot take."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tonezoo.layers import (
    BidirectionalLSTM,
    FoldedConv1D,
    Interpolate1D,
    InterpolatedConv1D,
    MultiscaleConv1D,
    PhaseShuffle1D,
    Subpixel1D,
    SubpixelConv1D,
    Superpixel1D,
    TransposedConv1D,
)

CONVOLUTIONS = {
    "folded": lambda **options: FoldedConv1D(4, 9, fold=2, **options),
    "plain interpolated": lambda **options: InterpolatedConv1D(4, 9, 3, form="plain", **options),
    "interpolated": lambda **options: InterpolatedConv1D(4, 9, 3, form="polyphase", **options),
    "subpixel": lambda **options: SubpixelConv1D(4, 3, 3, **options),
    "transposed": lambda **options: TransposedConv1D(4, 6, 3, **options),
    "transposed valid": lambda **options: TransposedConv1D(4, 6, 3, padding="valid", **options),
    "multiscale": lambda **options: MultiscaleConv1D(8, **options),
    "strided multiscale": lambda **options: MultiscaleConv1D(8, strides=2, **options),
}
WEIGHTLESS = {
    "subpixel shuffle": lambda: Subpixel1D(2),
    "superpixel": lambda: Superpixel1D(2),
    "interpolation": lambda: Interpolate1D(2),
    "phase shuffle": lambda: PhaseShuffle1D(2),
    "LSTM": lambda: BidirectionalLSTM(2),
}

each_convolution = pytest.mark.parametrize("make", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
each_layer = pytest.mark.parametrize(
    "make", [*CONVOLUTIONS.values(), *WEIGHTLESS.values()], ids=[*CONVOLUTIONS, *WEIGHTLESS]
)

SIGNAL = np.random.default_rng(0).standard_normal((2, 10, 6)).astype("float32")


@each_convolution
@pytest.mark.parametrize("activation", ["tanh", "softmax"])
def test_an_activation_acts_on_the_output(make, activation):
    plain, active = make(bias_initializer="normal"), make(activation=activation)
    y = plain(SIGNAL)
    active.build(SIGNAL.shape)
    active.set_weights(plain.get_weights())
    expected = keras.activations.get(activation)(y)
    np.testing.assert_allclose(active(SIGNAL), expected, rtol=0, atol=1e-6)


@each_convolution
def test_regularizers_act_on_weights_and_output(make):
    layer = make(
        kernel_regularizer=keras.regularizers.L2(0.5),
        bias_regularizer=keras.regularizers.L1(0.25),
        activity_regularizer=keras.regularizers.L1(0.125),
        bias_initializer="ones",
    )
    # Of one example: Keras divides what regularizes an output by the batch from 3.14 on.
    y = layer(SIGNAL[:1])
    kernels = [w for w in layer.weights if w.name == "kernel"]
    biases = [w for w in layer.weights if w.name == "bias"]
    expected = (
        0.5 * sum(float(ops.sum(w**2)) for w in kernels)
        + 0.25 * sum(int(np.prod(w.shape)) for w in biases)
        + 0.125 * float(ops.sum(ops.abs(y)))
    )
    assert float(sum(layer.losses)) == pytest.approx(expected, rel=1e-5)


@each_convolution
def test_constraints_hold_after_a_step_of_training(make):
    layer = make(kernel_constraint="non_neg", bias_constraint="non_neg")
    model = keras.Sequential([keras.Input((None, 6)), layer])
    model.compile(keras.optimizers.SGD(10.0), "mse")
    model.fit(SIGNAL, np.zeros(layer.compute_output_shape(SIGNAL.shape)) + 1, verbose=0)
    assert all(float(ops.min(weight)) >= 0 for weight in layer.weights)
    assert any(float(ops.max(weight)) > 0 for weight in layer.weights)


@each_convolution
def test_all_options_survive_the_configuration(make):
    layer = make(
        activation="tanh",
        use_bias=False,
        kernel_initializer="he_normal",
        kernel_regularizer="l2",
        bias_regularizer="l1",
        activity_regularizer="l2",
        kernel_constraint="non_neg",
        bias_constraint="unit_norm",
    )
    config = json.loads(json.dumps(layer.get_config()))
    copy = type(layer).from_config(config)
    assert json.loads(json.dumps(copy.get_config())) == config
    copy.build(SIGNAL.shape)
    layer.build(SIGNAL.shape)
    assert {weight.name for weight in layer.weights} == {"kernel"}
    assert len(copy.losses) == len(layer.losses) == len(layer.weights)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(SIGNAL), layer(SIGNAL))


@pytest.mark.parametrize("size", [(3,), [3]])
@pytest.mark.parametrize(
    "make",
    [
        lambda size: FoldedConv1D(4, size),
        lambda size: InterpolatedConv1D(4, size, 3),
        lambda size: SubpixelConv1D(4, size, 3),
        lambda size: TransposedConv1D(4, size, size),
    ],
)
def test_sizes_may_be_tuples_of_one(make, size):
    outputs = []
    for given in (size, 3):
        keras.utils.set_random_seed(0)
        outputs.append(make(given)(SIGNAL))
    np.testing.assert_array_equal(*outputs)
    with pytest.raises(ValueError, match=r"must be an integer.*\(3, 3\)"):
        make((3, 3))


@each_convolution
@pytest.mark.parametrize("option", ["dilation_rate", "groups", "data_format"])
def test_options_that_it_does_not_offer_are_refused_by_name(make, option):
    value = "channels_first" if option == "data_format" else 2
    with pytest.raises(ValueError, match=option):
        make(**{option: value})


@each_convolution
def test_another_number_of_channels_is_refused_as_keras_does(make):
    layer = make()
    layer(SIGNAL)
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 6"):
        layer(SIGNAL[:, :, :5])


@each_layer
def test_what_no_layer_of_signals_can_take_is_said_by_name(make):
    name = type(make()).__name__
    with pytest.raises(ValueError, match=rf"{name} needs to know the number of channels"):
        make()(keras.Input((16, None)))
    ragged = tf.ragged.constant([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], ragged_rank=1)
    with pytest.raises(ValueError, match=rf"{name} needs a dense tensor.*to_tensor"):
        make()(ragged)
    layer = make()
    layer(SIGNAL)
    for used in (make(), layer):
        with pytest.raises(ValueError, match=rf"{name} needs at least one sample.*\(2, 0, 6\)"):
            used(SIGNAL[:, :0])


@pytest.mark.parametrize("fold", [None, 1, 4])
def test_no_samples_are_refused_whatever_the_fold(fold):
    with pytest.raises(ValueError, match="FoldedConv1D needs at least one sample"):
        FoldedConv1D(2, 9, fold=fold)(SIGNAL[:, :0])


@pytest.mark.parametrize("kind", [kind for kind in CONVOLUTIONS if "multiscale" not in kind])
def test_spectral_normalization_makes_the_kernels_norm_one(kind):
    layer = CONVOLUTIONS[kind]()
    wrapped = keras.layers.SpectralNormalization(layer, power_iterations=50)
    for _ in range(3):
        y = wrapped(SIGNAL, training=True)
    kernel = ops.convert_to_numpy(layer.kernel)
    norm = np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)
    assert norm == pytest.approx(1, rel=1e-3)
    assert y.shape == layer.compute_output_shape(SIGNAL.shape)
    assert wrapped.compute_output_shape(SIGNAL.shape) == y.shape


def test_spectral_normalization_of_several_kernels_is_refused_by_name():
    with pytest.raises(ValueError, match="MultiscaleConv1D"):
        keras.layers.SpectralNormalization(MultiscaleConv1D(8))(SIGNAL)


@pytest.mark.parametrize("kind", ["folded", "interpolated", "subpixel"])
def test_low_rank_adaptation_starts_as_the_layer_itself(kind):
    layer = CONVOLUTIONS[kind]()
    expected = layer(SIGNAL)
    layer.enable_lora(2)
    np.testing.assert_allclose(layer(SIGNAL), expected, rtol=0, atol=1e-6)
    layer.lora_kernel_b.assign(ops.ones(layer.lora_kernel_b.shape))
    assert float(ops.max(ops.abs(layer(SIGNAL) - expected))) > 0.01


@pytest.mark.slow
def test_a_folded_convolution_trains_where_keras_own_does():
    model = keras.Sequential(
        [
            keras.Input((64, 4)),
            FoldedConv1D(4, 81),
            keras.layers.TimeDistributed(keras.layers.Dense(2)),
        ]
    )
    model.compile("sgd", "mse")
    history = model.fit(np.ones((4, 64, 4)), np.zeros((4, 64, 2)), verbose=0).history
    assert np.isfinite(history["loss"]).all()
