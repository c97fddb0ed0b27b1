"""The weight-only imbalance: hand-computed sums, what layers answer, and independent phases."""

import warnings

import numpy as np
import pytest

from tonezoo.layers import SubpixelConv1D, TransposedConv1D
from tonezoo.layers.phase_imbalance import (
    phase_imbalance,
    subpixel_phase_sums,
    transposed_phase_sums,
)


@pytest.mark.parametrize("taps, strides", [(8, 4), (4, 4), (6, 4), (3, 4), (11, 5)])
def test_the_sums_of_a_transposed_convolution_are_its_answers_to_constants(taps, strides):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of overlaps that are only partial, on purpose
        layer = TransposedConv1D(3, taps, strides, padding="valid", dtype="float64")
    layer.build((1, None, 2))
    sums = transposed_phase_sums(layer.kernel, strides)
    ones = np.ones((1, 40, 2)) * [1.0, -2.0]
    answer = np.array(layer(ones))[0, 20 * strides : 21 * strides]
    np.testing.assert_allclose(sums @ [1.0, -2.0], answer, atol=1e-12)


def test_the_sums_of_a_subpixel_convolution_are_its_answers_to_constants():
    layer = SubpixelConv1D(3, 5, 4, icnr=False, dtype="float64")
    layer.build((1, None, 2))
    sums = subpixel_phase_sums(layer.kernel, 4)
    answer = np.array(layer(np.ones((1, 40, 2)) * [1.0, -2.0]))[0, 80:84]
    np.testing.assert_allclose(np.einsum("pcf,c->pf", sums, [1.0, -2.0]), answer, atol=1e-12)


def test_hand_computed_imbalances():
    ones = np.ones((3, 1, 1))
    # Overlap of 3 taps 2 apart: 2, 1 about 1.5.
    assert abs(phase_imbalance(transposed_phase_sums(ones, 2)) - 1 / 3) < 1e-15
    # Two filters: deviations 1, 1 and 0, 0; means 3 and 4.
    sums = np.array([[2.0, 4.0], [4.0, 4.0]])
    assert abs(phase_imbalance(sums) - np.sqrt((2 / 4) / ((9 + 16) / 2))) < 1e-15
    assert phase_imbalance(np.array([1.0, -1.0])) == np.inf
    assert phase_imbalance(np.zeros((4, 2, 2))) == 0


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_independent_phases_give_the_root_of_the_factor_less_one(factor):
    kernel = np.random.default_rng(0).standard_normal((2 * factor, 64, 64))
    imbalance = phase_imbalance(transposed_phase_sums(kernel, factor))
    assert abs(imbalance / np.sqrt(factor - 1) - 1) < 0.05
