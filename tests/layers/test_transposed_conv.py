"""TransposedConv1D: lengths, overlap, borders, and the transposed counterpart of ICNR."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from tonezoo.layers import TransposedConv1D, TransposedICNR


def ones_layer(kernel_size, strides, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TransposedConv1D(1, kernel_size, strides, kernel_initializer="ones", **options)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_lengths_and_values_against_the_definition(padding):
    random = np.random.default_rng(0)
    for kernel_size in range(1, 10):
        strides, time = 1 + kernel_size % 4, (1, 2, 5)[kernel_size % 3]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layer = TransposedConv1D(2, kernel_size, strides, padding, dtype="float64")
        x = random.standard_normal((1, time, 3))
        # The second is the form that it has on JAX.
        forms = layer(x), layer._polyphase(ops.convert_to_tensor(x))
        kernel = ops.convert_to_numpy(layer.kernel)
        everything = np.zeros((time * strides + kernel_size, 2))
        for n in range(time):
            everything[n * strides :][:kernel_size] += np.einsum("kfc,c->kf", kernel, x[0, n])
        if padding == "valid":
            expected = everything[: (time - 1) * strides + kernel_size]
        else:
            left = max(kernel_size - strides, 0) // 2
            expected = everything[left:][: time * strides]
        assert expected.shape == layer.compute_output_shape(x.shape)[1:]
        for y in map(ops.convert_to_numpy, forms):
            assert y[0].shape == expected.shape
            np.testing.assert_allclose(y[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "kernel_size, strides, overlap",
    [
        (3, 3, "none"),
        (1, 1, "none"),
        (4, 2, "full"),
        (12, 4, "full"),
        (3, 2, "partial"),
        (15, 4, "partial"),
        (2, 3, "gaps"),
    ],
)
def test_overlap_is_classified_and_tonal_ones_warn(kernel_size, strides, overlap):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layer = TransposedConv1D(1, kernel_size, strides)
    assert layer.overlap == overlap
    assert [w.category for w in caught] == [UserWarning] * (overlap in ("partial", "gaps"))
    assert all(f"{overlap} overlap" in str(w.message) for w in caught)


@pytest.mark.parametrize(
    "kernel_size, strides, padding, expected",
    [
        # Partial overlap: period 2, and the borders differ.
        (3, 2, "valid", [1, 1, 2, 1, 2, 1, 2, 1, 1]),
        # Full overlap: constant inside, borders lower.
        (4, 2, "valid", [1, 1, 2, 2, 2, 2, 2, 2, 1, 1]),
        (6, 2, "valid", [1, 1, 2, 2, 3, 3, 3, 3, 2, 2, 1, 1]),
        (6, 2, "same", [2, 2, 3, 3, 3, 3, 2, 2][:8]),
        # Gaps: zeros between the kernels; "same" ends on them, "valid" does not.
        (2, 3, "valid", [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1]),
        (2, 3, "same", [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0]),
    ],
)
def test_ones_into_a_kernel_of_ones(kernel_size, strides, padding, expected):
    y = ones_layer(kernel_size, strides, padding=padding)(np.ones((1, 4, 1)))
    np.testing.assert_array_equal(ops.convert_to_numpy(y)[0, :, 0], expected)


def test_without_overlap_the_output_repeats_the_kernel():
    layer = ones_layer(3, 3)
    layer.build((None, None, 1))
    layer.kernel.assign(np.reshape([0.5, -1.0, 2.0], (3, 1, 1)))
    y = ops.convert_to_numpy(layer(np.ones((1, 4, 1))))[0, :, 0]
    np.testing.assert_array_equal(y, [0.5, -1.0, 2.0] * 4)


def test_a_random_kernel_is_periodic_even_with_full_overlap():
    layer = TransposedConv1D(1, 8, 4, padding="valid", dtype="float64")
    y = ops.convert_to_numpy(layer(np.ones((1, 10, 1))))[0, 4:-4, 0]
    kernel = ops.convert_to_numpy(layer.kernel)[:, 0, 0]
    np.testing.assert_allclose(y, np.tile(kernel[:4] + kernel[4:], 9), rtol=0, atol=1e-12)
    assert np.ptp(y) > 0.1


def test_transposed_icnr_repeats_each_tap():
    initializer = TransposedICNR(keras.initializers.HeNormal(seed=3), 4)
    kernel = ops.convert_to_numpy(initializer((8, 5, 6)))
    base = ops.convert_to_numpy(keras.initializers.HeNormal(seed=3)((2, 5, 6)))
    for j in range(2):
        for p in range(4):
            np.testing.assert_array_equal(kernel[4 * j + p], base[j])


def test_with_transposed_icnr_it_starts_as_convolution_then_nearest_resize():
    initializer = TransposedICNR("glorot_uniform", 3)
    layer = TransposedConv1D(
        2, 6, 3, padding="valid", kernel_initializer=initializer, dtype="float64"
    )
    x = np.random.default_rng(0).standard_normal((1, 7, 4))
    y = ops.convert_to_numpy(layer(x))[0]
    taps = ops.convert_to_numpy(layer.kernel)[::3]
    padded = np.pad(x[0], ((1, 1), (0, 0)))
    convolved = [taps[0] @ padded[n + 1] + taps[1] @ padded[n] for n in range(8)]
    np.testing.assert_allclose(y, np.repeat(convolved, 3, axis=0), rtol=0, atol=1e-12)


def test_transposed_icnr_refuses_lengths_that_do_not_divide():
    with pytest.raises(ValueError, match=r"TransposedICNR\(strides=2\).*shape=\(5, 1, 1\)"):
        TransposedICNR("normal", 2)((5, 1, 1))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"padding": "causal"}, "'same', 'valid'. Received: padding='causal'"),
        ({"strides": 0}, "strides must be an integer of at least 1"),
        ({"kernel_size": 0}, "kernel_size must be an integer of at least 1"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TransposedConv1D(**{"filters": 2, "kernel_size": 4, "strides": 2, **arguments})


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel_size", "strides"), [(8, 4), (4, 4), (9, 3), (3, 1), (16, 8)])
def test_context_is_what_an_output_depends_on_and_no_more(kernel_size, strides, padding):
    time, middle = 31, 15
    layer = TransposedConv1D(1, kernel_size, strides, padding, kernel_initializer="ones")
    impulses = np.eye(time)[:, :, None]  # one example per position of the impulse
    y = np.array(layer(impulses))[:, middle * strides : (middle + 1) * strides, 0]
    used = np.flatnonzero(abs(y).max(axis=1)) - middle
    assert layer.context == (-used[0], used[-1])
