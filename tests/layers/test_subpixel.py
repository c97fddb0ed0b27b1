"""The periodic shuffle, its inverse, and the subpixel convolution with its initialisation."""

import keras
import numpy as np
import pytest
from keras import ops

from tonezoo.layers import ICNR, Subpixel1D, SubpixelConv1D, Superpixel1D


def test_the_channel_layout_is_phase_major():
    # Channel p * F + f of sample n holds 100 n + 10 p + f, for F = 2 and factor 3.
    x = np.array([[[100 * n + 10 * p + f for p in range(3) for f in range(2)] for n in range(2)]])
    expected = [[100 * n + 10 * p + f for f in range(2)] for n in range(2) for p in range(3)]
    np.testing.assert_array_equal(ops.convert_to_numpy(Subpixel1D(3)(x))[0], expected)


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_superpixel_inverts_subpixel_bit_for_bit(factor):
    x = np.random.default_rng(0).standard_normal((3, 7, 10)).astype("float32")
    y = Superpixel1D(factor)(Subpixel1D(factor)(x))
    np.testing.assert_array_equal(ops.convert_to_numpy(y), x)


def test_subpixel_inverts_superpixel_up_to_the_padding():
    x = np.random.default_rng(0).standard_normal((2, 7, 3)).astype("float32")
    y = ops.convert_to_numpy(Subpixel1D(4)(Superpixel1D(4)(x)))
    np.testing.assert_array_equal(y[:, :7], x)
    np.testing.assert_array_equal(y[:, 7:], np.zeros((2, 1, 3)))


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=r"Subpixel1D\(factor=4\).*Received: 6 channels"):
        Subpixel1D(4)(np.zeros((1, 3, 6)))


def test_subpixel_conv_against_its_definition():
    layer = SubpixelConv1D(2, 3, 4, icnr=False, bias_initializer="normal", dtype="float64")
    x = np.random.default_rng(0).standard_normal((1, 5, 3))
    y = ops.convert_to_numpy(layer(x))[0]
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.weights)
    padded = np.pad(x[0], ((1, 1), (0, 0)))
    for n in range(5):
        for p in range(4):
            for f in range(2):
                expected = bias[2 * p + f] + np.sum(padded[n : n + 3] * kernel[:, :, 2 * p + f])
                assert abs(y[4 * n + p, f] - expected) < 1e-12


def test_icnr_draws_one_phase_with_its_own_fans_and_copies_it():
    kernel = ops.convert_to_numpy(ICNR(keras.initializers.HeNormal(seed=3), 4)((9, 16, 4 * 8)))
    one_phase = ops.convert_to_numpy(keras.initializers.HeNormal(seed=3)((9, 16, 8)))
    for p in range(4):
        np.testing.assert_array_equal(kernel[:, :, 8 * p : 8 * p + 8], one_phase)


def test_icnr_uses_the_fans_of_f_filters_not_of_r_times_f():
    # Glorot uniform is bounded by sqrt(6 / (9 * 16 + 9 * 8)) = 1/6 for 8 filters,
    # and would be by sqrt(6 / (9 * 16 + 9 * 32)) = 0.118 for 32.
    kernel = ops.convert_to_numpy(ICNR("glorot_uniform", 4)((9, 16, 32)))
    assert 0.16 < abs(kernel).max() <= 1 / 6


def test_icnr_refuses_filters_that_do_not_divide():
    with pytest.raises(ValueError, match=r"ICNR\(factor=4\).*shape=\(3, 2, 6\)"):
        ICNR("normal", 4)((3, 2, 6))


def test_icnr_survives_its_configuration():
    initializer = ICNR(keras.initializers.RandomNormal(seed=1), 2)
    copy = keras.initializers.deserialize(keras.initializers.serialize(initializer))
    np.testing.assert_array_equal(
        *(ops.convert_to_numpy(draw((3, 2, 4))) for draw in (initializer, copy))
    )


def test_at_initialisation_subpixel_is_convolution_then_nearest_resize():
    layer = SubpixelConv1D(2, 5, 3, bias_initializer="normal", dtype="float64")
    x = np.random.default_rng(0).standard_normal((1, 8, 4))
    y = ops.convert_to_numpy(layer(x))
    kernel, bias = (ops.convert_to_numpy(w)[..., :2] for w in layer.weights)
    convolved = ops.convert_to_numpy(ops.conv(x, kernel, padding="same")) + bias
    np.testing.assert_allclose(y, np.repeat(convolved, 3, axis=1), rtol=0, atol=1e-12)
    # The other order, resize then convolution, is another function.
    resized = ops.convert_to_numpy(ops.conv(np.repeat(x, 3, axis=1), kernel, padding="same"))
    assert abs(y - bias - resized).max() > 0.1


def test_without_icnr_the_phases_differ():
    layer = SubpixelConv1D(2, 5, 3, icnr=False)
    layer.build((None, None, 4))
    kernel = ops.convert_to_numpy(layer.weights[0])
    assert abs(kernel[..., :2] - kernel[..., 2:4]).max() > 0.01
