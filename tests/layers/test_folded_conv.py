"""The folded convolution is the plain one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tonezoo.layers import FoldedConv1D


@pytest.mark.parametrize("fold", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("taps", [1, 2, 3, 8, 9, 27])
def test_folded_equals_plain_at_every_length(fold, taps):
    plain = keras.layers.Conv1D(3, taps, padding="same", dtype="float64")
    folded = FoldedConv1D(3, taps, fold=fold, dtype="float64")
    for layer in (plain, folded):
        layer.build((None, None, 2))
    folded.set_weights(plain.get_weights())
    folded.bias.assign([1.0, 2.0, 3.0])
    plain.bias.assign([1.0, 2.0, 3.0])
    for time in (1, 2, 7, 16, 33):
        x = np.random.default_rng(time).standard_normal((2, time, 2))
        np.testing.assert_allclose(folded(x), plain(x), rtol=0, atol=1e-12)


def test_the_convolution_runs_on_blocks():
    layer = FoldedConv1D(3, 27, fold=4)
    layer.build((None, None, 2))
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((1, 64, 2))).graph
    (conv,) = [op for op in graph.get_operations() if op.type == "Conv2D"]
    assert conv.inputs[1].shape.as_list()[-2:] == [4 * 2, 4 * 3]


def test_default_fold_follows_the_kernel():
    assert [FoldedConv1D(1, taps).fold for taps in (3, 9, 27, 81)] == [1, 1, 4, 8]


@pytest.mark.parametrize(
    "options", [{"strides": 2}, {"dilation_rate": 2}, {"groups": 2}, {"padding": "valid"}]
)
def test_what_cannot_be_folded_is_refused(options):
    with pytest.raises(ValueError, match="Use Keras's own convolution"):
        FoldedConv1D(4, 9, **options)
