"""Contracts that every layer and model keeps on every backend; `cases.py` declares them.

A contract takes a case, and fails with an AssertionError or whatever the layer raises.
"""

import functools
import inspect
import json
import tempfile
from pathlib import Path

import keras
import numpy as np
from contracts.cases import Case
from contracts.gradients import gradients
from keras import ops


@functools.cache
def built(case: Case) -> keras.layers.Layer:
    """The float32 layer of a case, for the contracts that leave it as it is."""
    assert keras.config.dtype_policy().name == "float32"
    return case.built()


def as_model(case: Case, layer: keras.layers.Layer) -> keras.Model:
    """A model itself, or a model of any length that consists of the layer."""
    if isinstance(layer, keras.Model):
        return layer
    return keras.Sequential([keras.Input((None, case.channels)), layer])


def with_weights_of(reference, layer, x) -> keras.layers.Layer:
    """Builds `layer` for inputs like x, with the weights of `reference`."""
    layer.build(x.shape)
    layer.set_weights(reference.get_weights())
    return layer


def compiled(function):
    """Returns the function, on JAX as one compilation, which is quicker than one per operation."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def output(layer, x) -> np.ndarray:
    """Returns the layer's output, bfloat16 as float32."""
    y = compiled(layer)(x)
    dtype = keras.backend.standardize_dtype(y.dtype)
    return ops.convert_to_numpy(ops.cast(y, "float32") if dtype == "bfloat16" else y)


def every_accepted_length_gives_the_documented_shape(case: Case):
    layer = built(case)
    for time in (case.time, *case.accepted):
        y = output(layer, case.sample(time))
        assert y.shape == layer.compute_output_shape((2, time, case.channels))
        assert y.dtype == "float32"
        assert np.isfinite(y).all()
        if case.output_length:
            assert y.shape[1] == case.output_length(time)
    time = None if case.accepted else case.time
    symbolic = layer(keras.Input((time, case.channels)))
    assert symbolic.shape == (None, None if case.output_length else y.shape[1], *y.shape[2:])


def refused_lengths_raise_a_value_error(case: Case):
    for time in case.refused:
        for layer in (case.make(), built(case)):
            try:
                layer(case.sample(time))
            except ValueError as error:
                assert str(time) in str(error)
            else:
                raise AssertionError(f"{time} samples were accepted")


def gradients_reach_the_input_and_every_variable(case: Case):
    layer = built(case)
    _, found = gradients(layer, case.sample())
    names = ["input", *(v.path for v in layer.trainable_variables)]
    for name, gradient in zip(names, found, strict=True):
        # Norms and sums over replicas would take a sparse gradient's repeated rows one by one.
        assert ops.is_tensor(gradient), name
        gradient = ops.convert_to_numpy(gradient)
        assert np.isfinite(gradient).all(), name
        assert np.abs(gradient).max() > 0, name


def config_round_trip_builds_the_same_layer(case: Case):
    reference, x = built(case), case.sample()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = with_weights_of(reference, case.make(), x)
    finally:
        keras.config.set_dtype_policy("float32")
    config = json.loads(json.dumps(layer.get_config()))
    assert set(inspect.signature(type(layer)).parameters) - {"kwargs"} <= set(config)
    # The precision is part of the configuration, down to the innermost layer.
    clone = type(layer).from_config(config)
    assert json.loads(json.dumps(clone.get_config())) == config
    with_weights_of(reference, clone, x)
    np.testing.assert_array_equal(output(clone, x), output(layer, x))


def keras_file_round_trip_gives_the_same_output(case: Case):
    model = as_model(case, built(case))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    x = case.sample()
    np.testing.assert_array_equal(output(loaded, x), output(model, x))


def global_settings_change_nothing(case: Case):
    reference, x = built(case), case.sample()
    keras.config.set_image_data_format("channels_first")
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("float32")
    try:
        layer = with_weights_of(reference, case.make(), x)
        y = output(layer, x)
        shape = layer.compute_output_shape(x.shape)
    finally:
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
    assert y.shape == shape
    np.testing.assert_array_equal(y, output(reference, x))


def everything_inside_is_built(case: Case):
    layer = case.make()
    layer.build((None, case.time, case.channels))
    unbuilt = [inner.path for inner in layer._flatten_layers() if not inner.built]
    assert unbuilt == []


CONTRACTS = (
    every_accepted_length_gives_the_documented_shape,
    refused_lengths_raise_a_value_error,
    gradients_reach_the_input_and_every_variable,
    config_round_trip_builds_the_same_layer,
    keras_file_round_trip_gives_the_same_output,
    global_settings_change_nothing,
    everything_inside_is_built,
)
