"""Figures 2 to 5 against hand-computed values and a naive transposed convolution."""

import numpy as np
import pytest

from tonezoo.analysis.figures import FIGURES


def naive_transposed(samples, kernel, stride):
    output = np.zeros((len(samples) - 1) * stride + len(kernel))
    for n, sample in enumerate(samples):
        output[n * stride : n * stride + len(kernel)] += sample * np.array(kernel)
    return output


@pytest.mark.parametrize(
    "name, output",
    [
        ("2", [0.2, 0.3, -0.01, 0.2, 0.3, -0.01]),
        ("3", [1, 1, 2, 1, 2, 1, 2, 1, 1]),
        ("4", [1, 2, 3, 3, 2, 1]),
    ],
)
def test_the_small_figures_have_the_papers_values(name, output):
    figure = FIGURES[name]()
    assert figure.numbers["output"] == output
    np.testing.assert_allclose(figure.rows[0][1].samples, output, atol=1e-7)
    assert ", ".join(f"{sample:g}" for sample in output) in figure.findings[0]


def test_figure_5_adds_up():
    numbers = FIGURES["5"]().numbers
    assert numbers["ones, stride 6"] == {"samples": 62, "steady": [2, 2, 1, 1, 1, 1], "ripple": 1}
    assert numbers["ones, stride 4"] == {"samples": 44, "steady": [2, 2, 2, 2], "ripple": 0}
    ones = FIGURES["5"]().rows[2][0].samples
    np.testing.assert_array_equal(ones, [1] * 4 + [2] * 36 + [1] * 4)


@pytest.mark.parametrize("seed", range(20))
def test_random_kernels_of_figure_5_have_the_period_of_the_stride(seed):
    figure = FIGURES["5"](seed=seed)
    kernel = np.array(figure.numbers["kernel"])
    assert abs(kernel).max() <= 1 / np.sqrt(8) and len(np.unique(kernel)) == 8
    for row, stride in ((figure.rows[1], 6), (figure.rows[3], 4)):
        samples = row[0].samples
        np.testing.assert_allclose(samples, naive_transposed(10 * [1], kernel, stride), atol=2e-4)
        inside = samples[stride : 10 * stride]
        np.testing.assert_allclose(inside[stride:], inside[:-stride], atol=1e-6)
        assert figure.numbers[f"random, stride {stride}"]["ripple"] > 0.05
