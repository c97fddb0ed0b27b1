"""Contracts that every public layer and model keeps; `cases.py` declares them."""

import functools
import inspect
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts.cases import CASES, Case

import tonezoo.layers
from tonezoo.registry import list_models, model_entry

# One of the cases has gaps on purpose, another a partial overlap.
pytestmark = pytest.mark.filterwarnings("ignore:TransposedConv1D")

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@functools.cache
def built(case: Case) -> keras.layers.Layer:
    """The float32 layer of a case, for the tests that leave it as it is."""
    assert keras.config.dtype_policy().name == "float32"
    return case.built()


def as_model(case: Case, layer: keras.layers.Layer) -> keras.Model:
    """A model itself, or a model of any length that consists of the layer."""
    if isinstance(layer, keras.Model):
        return layer
    return keras.Sequential([keras.Input((None, case.channels)), layer])


def assert_close(actual, expected, relative: float):
    """Compares with a tolerance relative to the largest expected magnitude."""
    actual, expected = np.asarray(actual, "float64"), np.asarray(expected, "float64")
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max())


def with_weights_of(reference, layer, x) -> keras.layers.Layer:
    """Builds `layer` for inputs like x, with the weights of `reference`."""
    layer.build(x.shape)
    layer.set_weights(reference.get_weights())
    return layer


def weighted_sum(y) -> tf.Tensor:
    """A loss that tells the outputs apart but not the examples of a batch."""
    weights = np.random.default_rng(0).standard_normal(y.shape[1:])
    return tf.reduce_sum(tf.cast(y, "float32") * weights)


def gradients(layer, x) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Returns the output and the gradients of `weighted_sum` to the input and all variables.

    In inference mode, in which a bias before batch normalization has a gradient and dropout
    draws nothing.
    """
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = weighted_sum(y)
    return y, tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])


def test_no_public_layer_or_model_is_missing_from_the_cases():
    covered = {type(case.make()) for case in CASES}
    exported = (getattr(tonezoo.layers, name) for name in tonezoo.layers.__all__)
    public = {
        thing
        for thing in exported
        if isinstance(thing, type) and issubclass(thing, keras.layers.Layer)
    }
    public |= {model_entry(name).model for name in list_models()}
    assert public == covered


@each_case
def test_every_accepted_length_gives_the_documented_shape(case):
    layer = built(case)
    for time in (case.time, *case.accepted):
        y = layer(case.sample(time))
        assert y.shape == layer.compute_output_shape((2, time, case.channels))
        assert y.dtype == "float32"
        assert np.isfinite(y).all()
        if case.output_length:
            assert y.shape[1] == case.output_length(time)
    time = None if case.accepted else case.time
    symbolic = layer(keras.Input((time, case.channels)))
    assert symbolic.shape == (None, None if case.output_length else y.shape[1], *y.shape[2:])


@each_case
def test_refused_lengths_raise_a_value_error(case):
    for time in case.refused:
        with pytest.raises(ValueError, match=str(time)):
            case.make()(case.sample(time))


@each_case
def test_gradients_reach_the_input_and_every_variable(case):
    layer = built(case)
    _, found = gradients(layer, tf.constant(case.sample()))
    names = ["input", *(v.path for v in layer.trainable_variables)]
    for name, gradient in zip(names, found, strict=True):
        # Norms and sums over replicas would take a sparse gradient's repeated rows one by one.
        assert isinstance(gradient, tf.Tensor), name
        assert np.isfinite(gradient).all(), name
        assert np.abs(gradient).max() > 0, name


@each_case
@pytest.mark.parametrize(
    ("policy", "relative"), [("mixed_float16", 1e-2), ("mixed_bfloat16", 8e-2)]
)
def test_mixed_precision_is_close_to_float32(case, policy, relative):
    reference, x = built(case), case.sample()
    keras.config.set_dtype_policy(policy)
    layer = with_weights_of(reference, case.make(), x)
    assert {v.dtype for v in layer.weights} <= {"float32"}
    y = layer(x)
    # Models answer in full precision, whatever they compute in.
    assert y.dtype == ("float32" if isinstance(layer, keras.Model) else layer.compute_dtype)
    assert_close(tf.cast(y, "float32"), reference(x), relative)


@each_case
def test_config_round_trip_builds_the_same_layer(case):
    reference, x = built(case), case.sample()
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = with_weights_of(reference, case.make(), x)
    config = json.loads(json.dumps(layer.get_config()))
    assert set(inspect.signature(type(layer)).parameters) - {"kwargs"} <= set(config)
    # The precision is part of the configuration, down to the innermost layer.
    keras.config.set_dtype_policy("float32")
    clone = type(layer).from_config(config)
    assert json.loads(json.dumps(clone.get_config())) == config
    np.testing.assert_array_equal(with_weights_of(reference, clone, x)(x), layer(x))


@each_case
def test_keras_file_round_trip_gives_the_same_output(case, tmp_path):
    model = as_model(case, built(case))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = case.sample()
    np.testing.assert_array_equal(loaded(x), model(x))


@each_case
def test_one_trace_serves_any_batch_and_length(case):
    layer = built(case)
    time = None if case.accepted else case.time
    signature = [tf.TensorSpec((None, time, case.channels))]
    traced = tf.function(layer, input_signature=signature)
    for length in (case.time, *case.accepted):
        x = case.sample(length)
        assert_close(traced(x), layer(x), 1e-6)
        assert_close(traced(x[:1]), layer(x[:1]), 1e-6)


@pytest.mark.slow
@each_case
def test_saved_model_round_trip_gives_the_same_output(case, tmp_path):
    model = as_model(case, built(case))
    time = None if case.accepted else case.time
    signature = [keras.InputSpec(shape=(None, time, case.channels), dtype="float32")]
    model.export(tmp_path / "saved", input_signature=signature, verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    for length in (case.time, *case.accepted):
        x = case.sample(length)
        assert_close(loaded.serve(x), model(x), 1e-6)


@each_case
def test_two_replicas_equal_one_device(case, two_replicas):
    with two_replicas.scope():
        layer = case.built()
    x = case.sample()
    y, expected = gradients(layer, tf.constant(x))

    def replica_gradients():
        rank = tf.distribute.get_replica_context().replica_id_in_sync_group
        return gradients(layer, tf.gather(tf.constant(x), [rank]))

    y_replicas, actual = two_replicas.run(replica_gradients)
    join = two_replicas.experimental_local_results
    assert_close(tf.concat(join(y_replicas), axis=0), y, 1e-5)
    assert_close(tf.concat(join(actual[0]), axis=0), expected[0], 1e-5)
    for summed, gradient in zip(actual[1:], expected[1:], strict=True):
        assert_close(two_replicas.reduce("SUM", summed, axis=None), gradient, 1e-5)
