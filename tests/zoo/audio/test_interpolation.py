"""Interpolation of NumPy arrays against the Keras layer."""

import numpy as np
import pytest
import signals

from tonezoo.audio.interpolation import DEFAULT_GRIDS, Interpolator
from tonezoo.layers import Interpolate1D

METHODS = [method for method in DEFAULT_GRIDS if method != "learned"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("factor", "time"), [(1, 5), (2, 1), (3, 4), (4, 50)])
def test_it_equals_the_layer(method, factor, time):
    x = signals.noise(2, time, 3, seed=time)
    layer, interpolator = Interpolate1D(factor, method), Interpolator(factor, method)
    assert interpolator.context == layer.context
    output = interpolator(x)
    assert output.dtype == np.float32 and output.shape == (2, factor * time, 3)
    np.testing.assert_allclose(output, layer(x), rtol=0, atol=2e-6)
