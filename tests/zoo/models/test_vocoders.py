"""What vocoders share: the front end, how far a frame reaches; and Vocos by a NumPy reference."""

import keras
import numpy as np
import pytest
import signals
import tensorflow as tf
from scipy.special import erf

import tonezoo
from tonezoo.models.vocos import Vocos

SMALL = {
    "mel_gan": {"bands": 4, "width": 8, "strides": (4, 2), "blocks": 2},
    "vocos": {"bands": 4, "hop_samples": 8, "width": 8, "blocks": 2},
}


def layer_norm(x, layer):
    gamma, beta = (np.asarray(v, "float64") for v in layer.weights)
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(centred.var(axis=-1, keepdims=True) + 1e-6) * gamma + beta


def padded(x):
    return np.pad(x, ((3, 3), (0, 0)))


def dense(x, layer):
    kernel, bias = (np.asarray(v, "float64") for v in layer.weights)
    return x @ kernel + bias


def reference(model, mel):
    """Returns what Vocos makes of (frames, bands): (time,), each frame added in its place."""
    kernel, bias = (np.asarray(v, "float64") for v in model.first.weights)
    x = np.array([np.einsum("tb,tbc->c", padded(mel)[n : n + 7], kernel) for n in range(len(mel))])
    x = layer_norm(x + bias, model.first_norm)
    for block in model.blocks:
        taps, bias = (np.asarray(v, "float64") for v in block.conv.weights)
        y = np.array([(padded(x)[n : n + 7] * taps[:, :, 0]).sum(axis=0) for n in range(len(x))])
        y = dense(layer_norm(y + bias, block.norm), block.widen)
        y = dense(y * 0.5 * (1 + erf(y / np.sqrt(2))), block.narrow)
        x = x + np.asarray(block.scale) * y
    y = dense(layer_norm(x, model.last_norm), model.head)
    size, hop = 4 * model.hop_samples, model.hop_samples
    bins = size // 2 + 1
    spectrum = np.minimum(np.exp(y[:, :bins]), 100) * np.exp(1j * y[:, bins:])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    output = np.zeros(len(mel) * hop + size)
    for n, frame in enumerate(spectrum):
        output[n * hop : n * hop + size] += window * np.fft.irfft(frame, size)
    # Squared windows, a quarter of their length apart, add up to 1.5.
    return output[(size - hop) // 2 :][: len(mel) * hop] / 1.5


def test_vocos_is_the_papers():
    model = Vocos(**SMALL["vocos"])
    keras.utils.set_random_seed(0)
    model.build((None, None, 4))
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign_add(rng.normal(0, 0.2, variable.shape))
    mel = signals.noise(11, 4, std=1.0)
    expected = reference(model, mel.astype("float64"))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(np.asarray(model(mel[None]))[0, :, 0], expected, atol=1e-4)


def test_vocos_has_the_papers_size():
    # 13.5 million in the paper's Table 1.
    assert tonezoo.count_parameters("vocos", "full") == 13_531_650


@pytest.mark.parametrize("name", SMALL)
def test_a_frame_depends_on_what_the_context_says_at_most(name):
    model = tonezoo.create_model(name, **SMALL[name])
    frames, middle = 81, 40
    mel = signals.noise(1, frames, 4, std=1.0)
    before = np.asarray(model(mel))
    mel[0, middle] += 1
    changed = np.flatnonzero(np.asarray(model(mel) != before)[0, :, 0]) // model.hop_samples
    context = model.context_samples // model.hop_samples
    assert model.context_samples % model.hop_samples == 0
    reach = max(middle - changed[0], changed[-1] - middle)
    assert context - 2 <= reach <= context


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("kind", tonezoo.layers.UPSAMPLER_KINDS)
def test_the_context_covers_every_kind_of_upsampling_layer(kind, filtered):
    options = {"upsampler": kind, "filtered_activations": filtered}
    model = tonezoo.create_model("mel_gan", **SMALL["mel_gan"], **options)
    mel = signals.noise(1, 161, 4, std=1.0)
    context = model.context_samples // model.hop_samples
    whole = np.asarray(model(mel))[0, 80 * 8 : 81 * 8]
    piece = np.asarray(model(mel[:, 80 - context : 81 + context]))[0, context * 8 :][:8]
    np.testing.assert_allclose(piece, whole, atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_the_front_end_makes_the_input_and_the_output_is_of_its_length(name):
    model = tonezoo.create_model(name, **SMALL[name], highest_hz=8000.0, sample_rate_hz=16_000)
    mel = model.front_end(signals.noise(2, 101, 1))
    assert mel.shape == (2, 13, 4) and model(mel).shape == (2, 104, 1)
    assert model.purpose == "4 mel bands, 8 samples apart, at 16000 Hz"
    copy = type(model).from_config(model.get_config())
    assert copy.front_end.highest_hz == 8000.0 and copy.front_end.stft.window_samples == 32


def test_the_largest_magnitude_has_finite_gradients():
    model = Vocos(**SMALL["vocos"])
    model.build((None, None, 4))
    model.head.bias.assign(np.full(model.head.bias.shape, 200.0))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(signals.noise(1, 5, 4)) ** 2)
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    assert np.isfinite(loss) and all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mel_gan", {"strides": (5, 3), "width": 8}, "hop has to be an even number .* but is 15"),
        ("vocos", {"hop_samples": 4}, "mel bands hold no bin"),
        ("vocos", {"highest_hz": 20_000.0}, "half the rate"),
        ("vocos", {"blocks": 0}, "blocks must be an integer"),
        ("vocos", {"width": 0}, "width must be an integer"),
    ],
)
def test_options_that_cannot_work_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        tonezoo.create_model(name, **options)
