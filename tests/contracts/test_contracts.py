"""Contracts that every layer, block and model keeps; `cases.py` declares them."""

import importlib
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from contracts import portable
from contracts.cases import CASES, MODELS, OTHERS
from contracts.gradients import gradients
from contracts.portable import as_model, built, with_weights_of
from test_docstrings import modules

import tonezoo.layers
from tonezoo.registry import list_models, model_entry
from tonezoo.training import classifier_loss
from tonezoo.training.base import Trainer

# One of the cases has gaps on purpose, another a partial overlap.
pytestmark = pytest.mark.filterwarnings("ignore:TransposedConv1D")


def each(is_slow):
    """Runs a test on every case, those marked slow for which `is_slow` is true."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, id=case.name, marks=[pytest.mark.slow] if is_slow(case) else [])
            for case in CASES
        ],
    )


each_case = each(lambda case: case.slow)
# For what takes seconds of a whole model.
each_case_models_slowly = each(lambda case: case in MODELS)


def assert_close(actual, expected, relative: float):
    """Compares with a tolerance relative to the largest expected magnitude."""
    actual, expected = np.asarray(actual, "float64"), np.asarray(expected, "float64")
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max())


def test_no_public_layer_or_model_is_missing_from_the_cases():
    covered = {type(case.make()) for case in CASES}
    exported = (getattr(tonezoo.layers, name) for name in tonezoo.layers.__all__)
    public = {
        thing
        for thing in exported
        if isinstance(thing, type) and issubclass(thing, keras.layers.Layer)
    }
    public |= {model_entry(name).model for name in list_models()}
    assert public <= covered


def test_nothing_that_keras_finds_by_name_is_missing_from_the_cases():
    for name in modules():
        importlib.import_module(name)
    registered = {
        thing
        for thing in keras.saving.get_custom_objects().values()
        if thing.__module__.split(".")[0] == "tonezoo"
    }
    # A trainer is no layer of a model: tests/zoo/training saves and loads it.
    registered = {thing for thing in registered if not issubclass(thing, Trainer)}
    assert registered == {type(case.make()) for case in CASES} | {type(make()) for make in OTHERS}


@pytest.mark.parametrize("make", OTHERS, ids=lambda make: type(make()).__name__)
def test_other_objects_survive_their_configuration(make):
    thing = make()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(thing)))
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(thing)
    assert json.loads(json.dumps(keras.saving.serialize_keras_object(copy))) == config


def test_a_saved_feature_loss_gives_the_same_number(tmp_path):
    pair = [keras.Input((None, 1)), keras.Input((None, 1))]
    model = keras.Model(pair, classifier_loss.ClassifierFeatureLoss(3)(*pair))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).standard_normal((2, 2, 64, 1)).astype("float32")
    assert float(loaded(list(x))) == float(model(list(x))) > 0


@each_case
@pytest.mark.parametrize("contract", portable.CONTRACTS, ids=lambda contract: contract.__name__)
def test_contract(contract, case):
    contract(case)


@each_case
def test_a_known_length_stays_known_in_a_graph(case):
    layer = built(case)
    shape = (None, case.time, case.channels)
    traced = tf.function(layer).get_concrete_function(tf.TensorSpec(shape))
    assert tuple(traced.output_shapes) == tuple(layer.compute_output_shape(shape))


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")
@each_case_models_slowly
def test_quantization_takes_what_keras_can_quantize_and_leaves_the_rest(case):
    model = as_model(case, case.built())
    x = case.sample()
    expected = model(x)
    model.quantize("int8")
    # Of ours only models have dense layers, which round to 8 bits.
    assert_close(model(x), expected, 0.1)


@each_case
def test_another_number_of_channels_is_refused_by_what_has_weights(case):
    layer = case.built()
    if layer.weights and not isinstance(layer, tonezoo.layers.PhaseShuffle1D):
        with pytest.raises(ValueError, match=rf"{case.channels}|shape"):
            layer(np.zeros((1, case.time, case.channels + 1), "float32"))


@each_case
@pytest.mark.parametrize(
    ("policy", "relative"),
    [pytest.param("mixed_float16", 1e-2, marks=pytest.mark.slow), ("mixed_bfloat16", 8e-2)],
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


@each_case_models_slowly
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


@each_case_models_slowly
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
