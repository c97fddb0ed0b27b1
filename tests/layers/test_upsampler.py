"""The factory of upsampling layers."""

import pytest

from tonezoo.layers import (
    UPSAMPLER_KINDS,
    InterpolatedConv1D,
    SubpixelConv1D,
    TransposedConv1D,
    upsampler,
)


def test_the_kinds():
    assert set(UPSAMPLER_KINDS) == {
        "transposed", "nearest", "linear", "cubic", "sinc", "kaiser", "stretch", "learned",
        "subpixel",
    }  # fmt: skip


@pytest.mark.parametrize("kind", UPSAMPLER_KINDS)
def test_each_kind_gives_its_layer_with_the_options_passed_on(kind):
    layer = upsampler(kind, 6, 8, 4, use_bias=False, name="up")
    expected = {"transposed": TransposedConv1D, "subpixel": SubpixelConv1D}
    assert type(layer) is expected.get(kind, InterpolatedConv1D)
    assert getattr(layer, "method", kind) == kind
    assert (layer.filters, layer.kernel_size, layer.use_bias, layer.name) == (6, (8,), False, "up")
    assert layer.compute_output_shape((2, 10, 3)) == (2, 40, 6)


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'transposed', 'nearest'.*'subpixel'.*kind='pixel'"):
        upsampler("pixel", 6, 8, 4)
