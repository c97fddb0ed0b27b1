"""Masks follow the rate: what is valid of a signal in a batch is what it gives alone."""

import keras
import numpy as np
import pytest
from contracts.cases import LAYERS
from keras import ops

from tonezoo.layers import (
    BidirectionalLSTM,
    InterpolatedConv1D,
    MultiscaleConv1D,
    SubpixelConv1D,
    Superpixel1D,
    TransposedConv1D,
)

pytestmark = pytest.mark.filterwarnings("ignore:TransposedConv1D")

SIGNAL = np.random.default_rng(0).standard_normal((3, 8, 2)).astype("float32")


def mask_of(lengths, time):
    return np.arange(time) < np.reshape(lengths, (-1, 1))


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.name)
def test_a_mask_is_as_long_as_the_output_of_the_signal_alone(case):
    layer = case.make()
    lengths = np.arange(1, case.time + 1)
    mask = layer.compute_mask(None, mask_of(lengths, case.time))
    outputs = [case.output_length(length) for length in lengths]
    assert keras.backend.standardize_dtype(mask.dtype) == "bool"
    np.testing.assert_array_equal(mask, mask_of(outputs, case.output_length(case.time)))
    assert layer.compute_mask(None, None) is None


def test_a_block_with_any_valid_sample_is_valid():
    mask = np.array([[False, False, False, True, True, False, False]])
    expected = [[False, True, True, False]]
    np.testing.assert_array_equal(Superpixel1D(2).compute_mask(None, mask), expected)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SubpixelConv1D(4, 3, 2, use_bias=False),
        # Nothing but zeros behind the ends, as in a padded batch.
        lambda: InterpolatedConv1D(4, 1, 2, "nearest"),
        lambda: Superpixel1D(4),
        lambda: MultiscaleConv1D(4, (1,), (1,), strides=2),
        lambda: TransposedConv1D(4, 4, 2, padding="valid"),
    ],
)
def test_layers_behind_use_the_mask(make):
    keras.utils.set_random_seed(0)
    layer = make()
    inputs = keras.Input((None, 2))
    masked = layer(keras.layers.Masking()(inputs))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(masked))
    x = SIGNAL[:1].copy()
    x[:, 4:] = 0
    np.testing.assert_allclose(model(x), model(x[:, :4]), rtol=0, atol=1e-6)


@pytest.mark.parametrize("use_bias", [True, False])
def test_the_lstm_reads_masks_as_keras_own_does(use_bias):
    ours = BidirectionalLSTM(4, use_bias, bias_initializer="normal")
    lstm = keras.layers.LSTM(4, return_sequences=True, use_bias=use_bias)
    theirs = keras.layers.Bidirectional(lstm)
    ours.build(SIGNAL.shape)
    theirs.build(SIGNAL.shape)
    for direction, layer in enumerate((theirs.forward_layer, theirs.backward_layer)):
        values = [ours.kernels[direction], ours.rnn.cell.recurrent_kernels[direction]]
        values += [ours.biases[direction]] if use_bias else []
        layer.set_weights([value.numpy() for value in values])
    # Padding behind, padding before, and holes.
    mask = mask_of([5, 8, 8], 8)
    mask[1, :3] = False
    mask[2, [2, 3, 6]] = False
    expected = ops.convert_to_numpy(theirs(SIGNAL, mask=mask))
    actual = ops.convert_to_numpy(ours(SIGNAL, mask=mask))
    np.testing.assert_allclose(actual[mask], expected[mask], rtol=0, atol=1e-6)
    alone = ops.convert_to_numpy(ours(SIGNAL[:1, :5]))
    np.testing.assert_allclose(actual[:1, :5], alone, rtol=0, atol=1e-6)


def test_the_lstm_takes_the_mask_of_its_input():
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, BidirectionalLSTM(4)(keras.layers.Masking()(inputs)))
    x = SIGNAL[:1].copy()
    x[:, 5:] = 0
    np.testing.assert_allclose(model(x)[:, :5], model(x[:, :5]), rtol=0, atol=1e-6)
