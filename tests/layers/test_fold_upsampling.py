"""Folding of upsampling into the convolutions after it: the same numbers, and what stays."""

import keras
import numpy as np
import pytest
from keras import layers

from tonezoo.layers import Interpolate1D, InterpolatedConv1D, fold_upsampling


def conv(filters, length, **options):
    options = {"padding": "same", "bias_initializer": "random_normal", **options}
    return layers.Conv1D(filters, length, **options)


def sequential():
    return keras.Sequential(
        [
            keras.Input((None, 2)),
            conv(4, 3, activation="relu"),
            layers.UpSampling1D(4),
            conv(3, 9, name="nearest", activation="tanh", kernel_regularizer="l2"),
            Interpolate1D(2, "linear"),
            conv(5, 8, name="linear", use_bias=False),
            Interpolate1D(3, "stretch"),
            conv(1, 25, name="stretch", dtype="float64"),
        ]
    )


def functional():
    """Two convolutions on one upsampling, a sum, and a Sequential inside, called twice."""
    x = keras.Input((40, 2), name="x")
    up = layers.UpSampling1D(2)(x)
    y = conv(3, 5, name="a")(up) + conv(3, 4, name="b")(up)
    inner = keras.Sequential([keras.Input((None, 3)), layers.UpSampling1D(2), conv(3, 6)])
    z = inner(inner(y))
    return keras.Model({"x": x}, [z, layers.GlobalAveragePooling1D()(y)])


def u_net():
    """A skip connection goes past the upsampling, which has another length than the input."""
    x = keras.Input((64, 1))
    low = conv(4, 9, strides=2, activation="relu")(x)
    y = conv(2, 7, name="up")(layers.UpSampling1D(2)(low))
    y = layers.Concatenate()([x, y])
    return keras.Model(x, conv(1, 3)(y))


def assert_equal(model, folded, shape):
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    x = {"x": x} if model.inputs[0].name == "x" else x
    expected, found = (keras.tree.flatten(one(x)) for one in (model, folded))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "make, shape, count",
    [(sequential, (2, 11, 2), 3), (functional, (2, 40, 2), 3), (u_net, (2, 64, 1), 1)],
)
def test_the_folded_model_computes_the_same_and_can_be_saved(make, shape, count, tmp_path):
    model = make()
    folded = fold_upsampling(model)
    assert_equal(model, folded, shape)
    flat = folded._flatten_layers()
    assert sum(isinstance(layer, InterpolatedConv1D) for layer in flat) == count
    assert not any(isinstance(layer, layers.UpSampling1D) for layer in folded._flatten_layers())
    assert folded.count_params() == model.count_params()
    folded.save(tmp_path / "folded.keras")
    assert_equal(model, keras.saving.load_model(tmp_path / "folded.keras"), shape)


def test_options_of_the_convolution_are_kept():
    model = sequential()
    model.get_layer("linear").trainable = False
    folded = fold_upsampling(model)
    nearest, linear, stretch = (folded.get_layer(n) for n in ("nearest", "linear", "stretch"))
    assert nearest.activation is keras.activations.tanh and nearest.factor == 4
    assert nearest.kernel_regularizer is not None and nearest.form == "polyphase"
    assert not linear.trainable and not linear.use_bias
    assert stretch.dtype == "float64" and stretch.interpolate.method == "stretch"
    # Copies: what is trained later does not change the model they are from.
    nearest.kernel.assign(0 * nearest.kernel)
    assert np.any(model.get_layer("nearest").kernel)


def test_what_would_compute_something_else_stays():
    def shared(x):
        one = conv(2, 3)
        return one(layers.UpSampling1D(2)(x)) + one(layers.UpSampling1D(2)(x))

    def heard(x):
        up = layers.UpSampling1D(2)(x)
        return conv(2, 3)(up) + up

    for head in (
        shared,
        heard,
        lambda x: conv(2, 3, padding="causal")(layers.UpSampling1D(2)(x)),
        lambda x: conv(2, 3, strides=2)(layers.UpSampling1D(2)(x)),
        lambda x: conv(2, 3, groups=2)(layers.UpSampling1D(2)(x)),
        lambda x: conv(2, 3)(layers.ReLU()(layers.UpSampling1D(2)(x))),
        lambda x: conv(2, 3)(Interpolate1D(2, "cubic")(x)),
        lambda x: conv(2, 3)(Interpolate1D(2, "learned")(x)),
        lambda x: InterpolatedConv1D(2, 3, 2)(x),
    ):
        x = keras.Input((8, 2))
        with pytest.raises(ValueError, match="There is nothing to fold in"):
            fold_upsampling(keras.Model(x, head(x)))
        # Beside one that can be folded it is left as it is.
        y = conv(2, 5)(layers.UpSampling1D(3)(head(x)))
        model = keras.Model(x, y)
        assert_equal(model, fold_upsampling(model), (2, 8, 2))


def test_models_without_a_graph_are_refused():
    class Called(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match=r"Only Sequential and functional models .* Called"):
        fold_upsampling(Called())
    with pytest.raises(ValueError, match="built ones"):
        fold_upsampling(keras.Sequential([layers.UpSampling1D(2), conv(1, 3)]))
