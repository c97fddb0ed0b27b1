"""MultiscaleConv1D is a row of convolutions."""

import numpy as np
import pytest
from keras import initializers, ops

from tonezoo.layers import MultiscaleConv1D


def test_filters_are_split_and_counted():
    layer = MultiscaleConv1D(64)
    layer.build((None, None, 2))
    assert [branch.filters for branch in layer.branches] == [24, 24, 8, 8]
    assert layer.count_params() == 2 * (3 * 24 + 9 * 24 + 27 * 8 + 81 * 8) + 64


@pytest.mark.parametrize("strides", [1, 2])
def test_outputs_are_those_of_the_branches_side_by_side(strides):
    layer = MultiscaleConv1D(6, (1, 5), (2, 1), strides=strides, bias_initializer="normal")
    x = np.random.default_rng(0).standard_normal((2, 9, 3)).astype("float32")
    y = ops.convert_to_numpy(layer(x))
    kernels = [ops.convert_to_numpy(branch.kernel) for branch in layer.branches]
    bias = np.concatenate([ops.convert_to_numpy(branch.bias) for branch in layer.branches])
    padded = np.pad(x, ((0, 0), (2, 2), (0, 0)))
    expected = np.stack(
        [
            np.concatenate(
                [
                    x[:, n] @ kernels[0][0],
                    np.einsum("bkc,kcf->bf", padded[:, n : n + 5], kernels[1]),
                ],
                axis=-1,
            )
            for n in range(0, 9, strides)
        ],
        axis=1,
    )
    np.testing.assert_allclose(y, expected + bias, rtol=0, atol=1e-5)


def test_branches_of_equal_shape_start_apart():
    layer = MultiscaleConv1D(4, (3, 3), (1, 1), kernel_initializer=initializers.HeNormal())
    layer.build((None, None, 2))
    first, second = (ops.convert_to_numpy(branch.kernel) for branch in layer.branches)
    assert abs(first - second).max() > 0.01


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"filters": 12}, r"multiple of sum\(split\)=8.*filters=12, split=\(3, 3, 1, 1\)"),
        ({"filters": 8, "split": (1, 1)}, "one entry per branch"),
        ({"filters": 8, "split": (), "kernel_sizes": ()}, "at least one branch"),
        ({"filters": 8, "split": (8, 0, 0, 0)}, "split must be an integer of at least 1"),
        ({"filters": 8, "kernel_sizes": (3, 9, 27, 0)}, "kernel_sizes must be an integer"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiscaleConv1D(**arguments)
