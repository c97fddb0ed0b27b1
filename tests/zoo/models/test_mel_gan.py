"""MelGAN's networks: sizes, a NumPy reference of each, tones at initialisation, and refusals."""

import keras
import numpy as np
import pytest
import signals

import tonezoo
from tonezoo.layers import WeightNorm
from tonezoo.models.mel_gan import MelGanGenerator, without_weight_norm
from tonezoo.models.mel_gan_discriminator import MelGanDiscriminator, halved


def moved(model):
    """Returns a built model whose gains, kernels and biases are far from where they start."""
    keras.utils.set_random_seed(0)
    model.build((None, None, getattr(model, "channels", 1)))
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign_add(rng.normal(0, 0.2, variable.shape))
    return model


def weights(layer):
    """Returns kernel and bias that a layer computes with, in float64."""
    if not isinstance(layer, WeightNorm):
        return [np.asarray(v, "float64") for v in layer.weights]
    gain, kernel, bias = (np.asarray(v, "float64") for v in layer.weights)
    return gain * kernel / np.sqrt((kernel**2).sum(axis=(0, 1))), bias


def conv(x, layer, dilation=1, strides=1, groups=1):
    """Returns the convolution of x (time, channels) without padding, output by output."""
    kernel, bias = weights(layer)
    taps, each, filters = kernel.shape
    outputs = (len(x) - dilation * (taps - 1) - 1) // strides + 1
    y = np.empty((outputs, filters))
    for n in range(outputs):
        window = x[n * strides :: dilation][:taps]
        for f in range(filters):
            first = f // (filters // groups) * each
            y[n, f] = (window[:, first : first + each] * kernel[:, :, f]).sum() + bias[f]
    return y


def transposed(x, layer, stride):
    """Returns the sum of scaled kernels of twice the stride, cut by half of it at both ends."""
    kernel, bias = weights(layer)
    y = np.zeros(((len(x) + 1) * stride, kernel.shape[1]))
    for n, frame in enumerate(x):
        y[n * stride : (n + 2) * stride] += np.einsum("koi,i->ko", kernel, frame)
    return y[stride // 2 :][: len(x) * stride] + bias


def mirrored(x, margin):
    return np.pad(x, ((margin, margin), (0, 0)), mode="reflect")


def leaky_relu(x):
    return np.where(x > 0, x, 0.2 * x)


def generated(model, mel):
    """Returns what the paper's generator makes of (frames, bands): (time, 1)."""
    x = conv(mirrored(mel, 3), model.first)
    for stride, layer, stage in zip(model.strides, model.upsamplers, model.stages, strict=True):
        x = transposed(leaky_relu(x), layer, stride)
        for block in stage:
            y = mirrored(leaky_relu(x), block.dilation)
            y = leaky_relu(conv(y, block.dilated, block.dilation))
            x = conv(x, block.shortcut) + conv(y, block.mixing)
    return np.tanh(conv(mirrored(leaky_relu(x), 3), model.last))


def test_the_generator_is_the_papers():
    model = moved(MelGanGenerator(bands=5, width=8, strides=(4, 2), blocks=2))
    mel = signals.noise(12, 5, std=1.0)
    expected = generated(model, mel)
    assert expected.shape == (96, 1) and np.abs(expected).max() > 0.1
    np.testing.assert_allclose(np.asarray(model(mel[None]))[0], expected, atol=1e-4)


def test_the_discriminator_is_the_papers():
    model = moved(MelGanDiscriminator(width=4, downsamplings=2, most_filters=16, scales=2))
    waveform = signals.noise(1, 64, 1, std=1.0)
    x = waveform[0]
    for scale in model.activations(waveform):
        stack = model.stacks[0 if len(x) == 64 else 1]
        y, strides = mirrored(x, 7), (1, 4, 4, 1, 1)
        for number, (layer, stride) in enumerate(zip(stack, strides, strict=True)):
            margin = weights(layer)[0].shape[0] // 2
            y = np.pad(y, ((margin, margin), (0, 0))) if number else y
            groups = {1: 1, 2: 4}.get(number, 1)
            y = conv(y, layer, strides=stride, groups=groups)
            y = y if number == len(stack) - 1 else leaky_relu(y)
            scale_layer = np.asarray(scale[number])[0]
            np.testing.assert_allclose(scale_layer, y, atol=1e-4 * np.abs(y).max())
        # Means over 4 samples, 2 apart, of which 3 are there at either end.
        padded = np.pad(x[:, 0], 1, constant_values=np.nan)
        x = np.array([[np.nanmean(padded[n : n + 4])] for n in range(0, 64, 2)])


@pytest.mark.parametrize("time", [1, 2, 5, 8])
def test_halving_keeps_a_constant(time):
    output = np.asarray(halved(np.ones((1, time, 1), "float32")))
    np.testing.assert_allclose(output, np.ones((1, -(-time // 2), 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "with_gains", "without"),
    [("mel_gan", 4_266_050, 4_260_257), ("mel_gan_discriminator", 16_924_086, 16_913_859)],
)
def test_parameter_counts_of_the_paper(name, with_gains, without):
    assert tonezoo.count_parameters(name, "full") == with_gains
    assert tonezoo.count_parameters(name, "full", weight_norm=False) == without


@pytest.mark.parametrize("kind", ["transposed", "linear", "subpixel"])
def test_the_normalisation_can_be_folded_into_the_kernels(kind):
    model = moved(MelGanGenerator(bands=4, width=8, strides=(4, 2), blocks=1, upsampler=kind))
    plain = without_weight_norm(model)
    mel = signals.noise(2, 7, 4, std=1.0)
    np.testing.assert_allclose(plain(mel), model(mel), atol=1e-5)
    assert not plain.weight_norm and plain.count_params() < model.count_params()


def lines_db(use_bias):
    """Returns how far the loudest multiple of the frame rate is above what is around it."""
    keras.utils.set_random_seed(3)
    # Narrower, but of the paper's strides.
    model = MelGanGenerator(width=64, use_bias=use_bias)
    waveform = np.asarray(model(signals.noise(1, 96, 80, std=1.0)))[0, :, 0]
    size = 16 * model.hop_samples
    frames = waveform[: len(waveform) // size * size].reshape(-1, size) * np.hanning(size)
    level_db = 20 * np.log10(np.abs(np.fft.rfft(frames)) + 1e-12).mean(axis=0)
    places = np.arange(16, len(level_db) - 16, 16)
    around = np.array([np.median(level_db[p - 6 : p + 7]) for p in places])
    return (level_db[places] - around).max()


def test_the_copies_of_biases_are_the_loudest_tones_at_initialisation():
    assert lines_db(use_bias=True) > lines_db(use_bias=False) + 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 12, "strides": (8, 8, 2)}, r"width must be a multiple of 2 \*\* len\(strides\)"),
        ({"strides": ()}, "there must be a stride"),
        ({"upsampler": "bilinear"}, "upsampler must be one of"),
        ({"bands": 0}, "bands must be an integer of at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MelGanGenerator(**options)


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"takes \(batch, frames, 4\).*front_end"):
        MelGanGenerator(bands=4, width=4, strides=(8,))(np.zeros((1, 4, 9), "float32"))
    with pytest.raises(ValueError, match="width must be a multiple of 4"):
        MelGanDiscriminator(width=6)
