"""calm_start: which layers it finds, what they then compute, and what it leaves and refuses."""

import keras
import numpy as np
import pytest
from keras import layers
from signals import noise

from tonezoo.layers import (
    Interpolate1D,
    Subpixel1D,
    SubpixelConv1D,
    TransposedConv1D,
    WeightNorm,
    calm_start,
)
from tonezoo.models.demucs import Demucs
from tonezoo.models.mel_gan import MelGanGenerator


@pytest.fixture(autouse=True)
def seed():
    keras.utils.set_random_seed(0)


def conv(filters, **options):
    return layers.Conv1D(filters, 3, padding="same", **options)


def sequential(*inner, channels=2, time=None):
    return keras.Sequential([keras.Input((time, channels)), *inner])


def of_random_weights(model):
    """Moves what starts at zero, the biases."""
    random = np.random.default_rng(0)
    for weight in model.trainable_variables:
        if len(weight.shape) == 1 and "gain" not in weight.name:
            weight.assign(random.standard_normal(weight.shape))
    return model


def functional():
    x = keras.Input((24, 2))
    y = conv(12, activation="relu")(x)
    y = layers.Reshape((-1, 3))(y)
    inner = sequential(WeightNorm(conv(6)), Subpixel1D(2), channels=3)
    return keras.Model(x, inner(y))


STACKS = {
    "SubpixelConv1D": lambda: sequential(SubpixelConv1D(3, 5, 4, icnr=False)),
    "Conv1D and Subpixel1D": lambda: sequential(conv(12), Subpixel1D(4)),
    "Conv1D and Reshape": lambda: sequential(conv(12), layers.Reshape((96, 3)), time=24),
    "functional, nested, normalised": functional,
    "TransposedConv1D": lambda: sequential(TransposedConv1D(3, 8, 4)),
    "Conv1DTranspose, twice": lambda: sequential(
        layers.Conv1DTranspose(3, 8, 4, padding="same"),
        layers.Conv1DTranspose(3, 2, 2, padding="valid"),
    ),
    "normalised TransposedConv1D": lambda: sequential(WeightNorm(TransposedConv1D(3, 8, 4))),
}


def unevenness(model, channels=2):
    """Of the answer to ones, over 8 samples far from the ends, re its level."""
    y = np.array(model(np.ones((1, 24, channels), "float32")))[0]
    middle = y[len(y) // 2 : len(y) // 2 + 8]
    return np.std(middle, axis=0).max() / abs(middle.mean(axis=0)).max()


@pytest.mark.parametrize("name", STACKS)
def test_ones_come_out_constant(name):
    model = of_random_weights(STACKS[name]())
    assert unevenness(model) > 0.1
    records = calm_start(model)
    assert unevenness(model) < 1e-6
    for record in records:
        assert record.imbalance_before > 0.2 and record.imbalance_after < 1e-6
    # What is calm stays what it is.
    weights = model.get_weights()
    assert len(calm_start(model)) == len(records)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(before, after, rtol=1e-6)


@pytest.mark.parametrize("name", ["SubpixelConv1D", "Conv1D and Subpixel1D", "Conv1D and Reshape"])
def test_a_subpixel_convolution_is_then_its_first_phase_and_nearest(name):
    model = of_random_weights(STACKS[name]())
    kernel, bias = (np.array(weight) for weight in model.layers[0].get_weights())
    calm_start(model)
    first = layers.Conv1D(3, len(kernel), padding="same")
    first.build((None, None, 2))
    first.set_weights([kernel[..., :3], bias[:3]])
    x = noise(1, 24, 2, std=1.0)
    expected = Interpolate1D(4, "nearest")(first(x))
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda layer: layer, WeightNorm])
def test_a_transposed_convolution_is_then_its_first_phase_and_nearest(wrap):
    layer = TransposedConv1D(3, 8, 4, padding="valid")
    model = sequential(wrap(layer))
    kernel = np.array(layer.kernel)
    calm_start(model)
    x = noise(1, 24, 2, std=1.0)
    taps = kernel[::4]  # (tap, filter, channel)
    low = sum(np.pad(x[0] @ taps[j].T, ((j, 1 - j), (0, 0))) for j in range(2))
    np.testing.assert_allclose(model(x)[0], np.repeat(low, 4, axis=0), rtol=0, atol=1e-5)


def test_the_level_of_the_output_stays_what_the_initializer_meant():
    x = noise(1, 512, 64, std=1.0)
    for layer in (TransposedConv1D(64, 8, 4), SubpixelConv1D(64, 3, 4, icnr=False)):
        model = sequential(layer, channels=64)
        before = np.std(model(x))
        calm_start(model)
        assert abs(np.std(model(x)) / before - 1) < 0.03


def lines(model, x, period):
    """Returns the constant and the strongest line of the period's grid, in the middle."""
    y = np.reshape(model(x)[0], (-1, 1))
    middle = y[len(y) // 2 // period * period :][: 4 * period, 0]
    spectrum = abs(np.fft.rfft(middle)) / len(middle)
    return spectrum[0], spectrum[4::4].max()


@pytest.mark.parametrize("kind", ["transposed", "subpixel"])
@pytest.mark.parametrize(
    "make, shape, period",
    [
        (
            lambda kind: Demucs(
                sources=("a",), channels=1, width=4, depth=2, lstm_layers=0, modified=True,
                upsampler=kind,
            ),
            (1, 512, 1),
            16,
        ),
        (
            lambda kind: MelGanGenerator(
                bands=4, width=8, strides=(4, 2), use_bias=False, upsampler=kind
            ),
            (1, 64, 4),
            8,
        ),
    ],
    ids=["Demucs", "MelGAN"],
)  # fmt: skip
def test_the_lines_of_models_without_biases_disappear(make, shape, period, kind):
    model = make(kind)
    model.build((None, None, shape[-1]))
    if kind == "subpixel":  # which starts calm here: make its phases differ
        for weight in model.trainable_variables:
            weight.assign(np.random.default_rng(0).normal(0, 0.2, weight.shape))
    constant, line = lines(model, np.ones(shape), period)
    assert line > 0.05 * constant
    assert [record.factor for record in calm_start(model)] == ([4, 4] if period == 16 else [4, 2])
    constant, line = lines(model, np.ones(shape), period)
    assert line < 1e-5 * constant


def test_what_cannot_be_calmed_is_left_with_the_reason():
    model = sequential(
        layers.Conv1DTranspose(4, 6, 4, name="partial"),
        conv(8, groups=2, name="grouped"),
        Subpixel1D(2),
        layers.Conv1DTranspose(4, 4, 2, name="full"),
    )
    before = [np.array(weight) for weight in model.layers[0].weights + model.layers[1].weights]
    partial, grouped, full = calm_start(model)
    assert "length 6 is no multiple of its strides 4" in partial.note
    assert "take 8" in str(partial) and partial.imbalance_before == partial.imbalance_after > 0
    assert "2 groups" in grouped.note
    assert not full.note and str(full).endswith("-> 0")
    after = [np.array(weight) for weight in model.layers[0].weights + model.layers[1].weights]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_convolutions_that_also_go_elsewhere_or_do_not_shuffle_alike_are_not_found():
    x = keras.Input((8, 4))
    heard = conv(8)(x)
    y = Subpixel1D(2)(heard)
    y = layers.Reshape((4, -1))(conv(4)(y))
    forked, twice = conv(4)(y), conv(2)
    y = layers.Concatenate(axis=1)(
        [
            Subpixel1D(4)(forked),
            layers.Conv1D(1, 1)(Subpixel1D(2)(forked)),
            Subpixel1D(2)(twice(y)),
            layers.Conv1D(1, 1)(twice(layers.ReLU()(y))),
        ]
    )
    y = layers.Conv1DTranspose(2, 4, 2, name="up")(y)
    model = keras.Model(x, [heard, y])
    assert [record.name.split("/")[-1] for record in calm_start(model)] == ["up"]


def test_a_shuffle_may_be_shared():
    shuffle = Subpixel1D(2)
    x = keras.Input((8, 4))
    y = shuffle(conv(4)(shuffle(conv(8)(x))))
    assert len(calm_start(keras.Model(x, y))) == 2


def test_models_with_nothing_to_calm_are_refused():
    with pytest.raises(ValueError, match=r"(?s)nothing to calm.*use tonezoo.layers.SubpixelConv1D"):
        calm_start(sequential(conv(4), layers.UpSampling1D(2)))
    with pytest.raises(ValueError, match=r"(?s)nothing to calm.*x4.*left: its length 6"):
        calm_start(sequential(layers.Conv1DTranspose(4, 6, 4)))
    with pytest.raises(ValueError, match="has no weights yet"):
        calm_start(keras.Sequential([layers.Conv1DTranspose(4, 8, 4)]))
