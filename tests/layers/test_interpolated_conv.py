"""The plain and the polyphase form of InterpolatedConv1D are one function."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from interpolation_reference import METHOD_GRIDS, interpolated_conv
from keras import ops

from tonezoo.layers import InterpolatedConv1D

TOLERANCES = {"float32": 1e-5, "float64": 1e-12}


def both_forms(method, grid, factor, kernel_size, time, dtype):
    """Returns the outputs of the two forms, with equal random weights, for the same noise."""
    random = np.random.default_rng(1000 * factor + 10 * kernel_size + time)
    x = random.standard_normal((2, time, 2)).astype(dtype)
    outputs, weights = [], None
    for form in ("plain", "polyphase"):
        layer = InterpolatedConv1D(
            3, kernel_size, factor, method, grid, form, kernel_initializer="zeros", dtype=dtype
        )
        layer.build(x.shape)
        weights = weights or [random.standard_normal(w.shape) for w in layer.weights]
        layer.set_weights(weights)
        outputs.append(ops.convert_to_numpy(layer(x)))
    return outputs


def assert_forms_agree(method, grid, factor, kernel_size):
    """Input lengths and precisions take turns."""
    time = (1, 2, 7)[(factor + kernel_size) % 3]
    dtype = ("float32", "float64")[(factor + kernel_size // 2) % 2]
    plain, polyphase = both_forms(method, grid, factor, kernel_size, time, dtype)
    assert plain.shape == polyphase.shape == (2, time * factor, 3)
    assert abs(polyphase - plain).max() < TOLERANCES[dtype] * abs(plain).max()


@pytest.mark.parametrize("method, grid", METHOD_GRIDS)
def test_the_forms_agree_on_a_cover_of_factors_and_lengths(method, grid):
    kernel_sizes = (1, 2, 3, 4, 5, 8, 9, 12, 15, 16, 17, 25, 30, 31)
    for kernel_size, factor in zip(kernel_sizes, 2 * [2, 3, 4, 5, 6, 7, 8], strict=True):
        assert_forms_agree(method, grid, factor, kernel_size)


@pytest.mark.slow
@pytest.mark.parametrize("method, grid", METHOD_GRIDS)
def test_the_forms_agree_for_all_factors(method, grid):
    for factor, kernel_size in itertools.product(range(2, 9), (1, 2, 5, 13, 21, 31)):
        assert_forms_agree(method, grid, factor, kernel_size)


@pytest.mark.parametrize("method, grid", METHOD_GRIDS)
@pytest.mark.parametrize("kernel_size, factor, time", [(4, 3, 1), (9, 4, 5)])
def test_the_default_form_against_its_definition(method, grid, kernel_size, factor, time):
    random = np.random.default_rng(0)
    x = random.standard_normal((2, time, 2))
    layer = InterpolatedConv1D(
        3, kernel_size, factor, method, grid, bias_initializer="normal", dtype="float64"
    )
    layer.build(x.shape)
    earlier = None
    if method == "learned":
        logits = random.standard_normal((factor - 1, 2))
        layer.interpolate.logits.assign(logits)
        earlier = 1 / (1 + np.exp(-logits))
    kernel, bias = (ops.convert_to_numpy(w) for w in (layer.kernel, layer.bias))
    expected = [interpolated_conv(one, kernel, factor, method, grid, earlier) + bias for one in x]
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x)), expected, rtol=0, atol=1e-7)


def test_a_hand_computed_output():
    # Linear, half-pixel, x2: 0 (0) 1 3 4 (4) with the held ends; the kernel 1, 10, 100 has one tap
    # before the sample.
    layer = InterpolatedConv1D(1, 3, 2, "linear", dtype="float64")
    layer.build((1, 2, 1))
    layer.kernel.assign(np.reshape([1.0, 10.0, 100.0], (3, 1, 1)))
    layer.bias.assign([0.5])
    y = ops.convert_to_numpy(layer(np.array([[[0.0], [4.0]]])))[0, :, 0]
    np.testing.assert_allclose(y, [100.5, 310.5, 431.5, 443.5], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "method, grid, low_rate_taps",
    [
        ("nearest", "half_pixel", 3),
        ("linear", "half_pixel", 5),
        ("linear", "aligned", 4),
        ("learned", "aligned", 4),
        ("stretch", "aligned", 3),
    ],
)
def test_low_rate_taps_of_nine_taps_at_factor_four(method, grid, low_rate_taps):
    left, right = InterpolatedConv1D(8, 9, 4, method, grid).context
    assert left + right + 1 == low_rate_taps


@pytest.mark.parametrize("method, grid", METHOD_GRIDS)
@pytest.mark.parametrize("kernel_size", [1, 6, 7])
def test_context_is_what_an_output_depends_on_and_no_more(method, grid, kernel_size):
    time, factor, middle = 61, 3, 30
    layer = InterpolatedConv1D(1, kernel_size, factor, method, grid, dtype="float64")
    impulses = np.eye(time)[:, :, None]  # one example per position of the impulse
    y = ops.convert_to_numpy(layer(impulses))[:, middle * factor : (middle + 1) * factor, 0]
    used = np.flatnonzero(abs(y).max(axis=1)) - middle
    assert layer.context == (-used[0], used[-1])


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "stretch", "learned"])
def test_the_default_form_holds_nothing_but_the_output_at_the_high_rate(method):
    time, factor = 101, 4
    layer = InterpolatedConv1D(3, 9, factor, method)
    layer.build((1, time, 2))
    assert layer.form == "polyphase"
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((1, time, 2))).graph
    long = {
        op.type
        for op in graph.get_operations()
        for tensor in op.outputs
        if tensor.shape.rank and max(d or 0 for d in tensor.shape) > 2 * time
    }
    assert long <= {"Reshape", "Identity"}


@pytest.mark.parametrize(
    "method, kernel_size, factor, form",
    [
        ("sinc", 9, 4, "plain"),  # 18 low-rate taps for 9
        ("sinc", 31, 2, "polyphase"),  # 31 for 31
        ("cubic", 9, 4, "polyphase"),
        ("kaiser", 9, 4, "polyphase"),  # 9 for 9
        ("kaiser", 9, 2, "polyphase"),  # 11 for 9
        ("linear", 3, 2, "polyphase"),
        ("linear", 1, 2, "plain"),  # 3 for 1
        ("nearest", 1, 2, "polyphase"),
    ],
)
def test_the_default_form_is_the_cheaper_one(method, kernel_size, factor, form):
    assert InterpolatedConv1D(8, kernel_size, factor, method).form == form


def test_without_bias_silence_stays_silence():
    layer = InterpolatedConv1D(2, 5, 3, "linear", use_bias=False)
    assert not ops.convert_to_numpy(layer(np.zeros((1, 4, 2)))).any()
    assert len(layer.weights) == 1


def test_the_learned_weights_train_in_both_forms():
    x = np.random.default_rng(0).standard_normal((1, 6, 2)).astype("float32")
    gradients = []
    for form in ("plain", "polyphase"):
        keras.utils.set_random_seed(0)
        layer = InterpolatedConv1D(3, 5, 4, "learned", form=form)
        layer.build(x.shape)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x) ** 2)
        gradients.append(tape.gradient(loss, layer.interpolate.logits.value).numpy())
    assert abs(gradients[0]).min() > 0
    np.testing.assert_allclose(gradients[1], gradients[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"form": "fast"}, "'plain', 'polyphase'. Received: form='fast'"),
        ({"kernel_size": 0}, "kernel_size must be an integer of at least 1"),
        ({"filters": -1}, "filters must be an integer of at least 1"),
        ({"method": "spline"}, "method must be one of 'nearest'"),
        ({"method": "learned", "grid": "half_pixel"}, "aligned grid only"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        InterpolatedConv1D(**{"filters": 2, "kernel_size": 3, "factor": 2, **arguments})


@pytest.mark.parametrize("method, grid", METHOD_GRIDS)
def test_with_zeros_beyond_the_ends_it_is_interpolation_and_then_a_convolution_of_keras(
    method, grid
):
    random = np.random.default_rng(0)
    form = None if method in ("cubic", "sinc", "kaiser") else "polyphase"
    for kernel_size, factor, time in ((1, 2, 3), (4, 3, 1), (9, 4, 2), (16, 2, 7), (3, 5, 1)):
        options = {"ends": "zeros", "dtype": "float64"}
        layer = InterpolatedConv1D(3, kernel_size, factor, method, grid, form, **options)
        x = random.standard_normal((2, time, 2))
        layer.build(x.shape)
        layer.bias.assign(random.standard_normal(3))
        after = keras.layers.Conv1D(3, kernel_size, padding="same", dtype="float64")
        after.build((None, None, 2))
        after.set_weights([layer.kernel, layer.bias])
        expected = after(layer.interpolate(x))
        np.testing.assert_allclose(layer(x), expected, rtol=0, atol=1e-12)


def test_a_form_without_zeros_at_the_ends_is_refused():
    with pytest.raises(ValueError, match="'sinc' with ends='zeros' has the plain form only"):
        InterpolatedConv1D(1, 33, 2, "sinc", form="polyphase", ends="zeros")
    assert InterpolatedConv1D(1, 33, 2, "sinc", ends="zeros").form == "plain"
    with pytest.raises(ValueError, match="ends"):
        InterpolatedConv1D(1, 3, 2, ends="same")
