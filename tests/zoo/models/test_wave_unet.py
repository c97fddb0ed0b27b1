"""Wave-U-Net: sizes, lengths, and a NumPy reference of the whole network."""

import keras
import numpy as np
import pytest
import signals

import tonezoo
from tonezoo.models.wave_unet import WaveUnet
from tonezoo.tasks import find_task
from tonezoo.tasks.separation import SeparationOptions


def model_of(**options):
    """Returns a built model whose weights are far from where they start."""
    keras.utils.set_random_seed(0)
    model = WaveUnet(**{"levels": 2, "width": 3, "sources": ("a", "b", "c"), **options})
    model.build((None, None, model.channels))
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign_add(rng.normal(0, 0.1, variable.shape))
    return model


def conv(x, layer, same):
    """Returns the convolution of x (time, channels) as a sum over its taps."""
    kernel, bias = (np.asarray(variable, "float64") for variable in layer.weights)
    taps = len(kernel)
    if same:
        x = np.pad(x, ((taps // 2, taps // 2), (0, 0)))
    return sum(x[t : len(x) - taps + 1 + t] @ kernel[t] for t in range(taps)) + bias


def leaky_relu(x):
    return np.where(x > 0, x, 0.2 * x)


def middle(x, length):
    start = (len(x) - length) // 2
    return x[start : start + length]


def interpolated(x, layer, same):
    """Returns x (time, channels) with what lies between its samples, the last one held."""
    shares = 0.5
    if layer.weights:
        shares = 1 / (1 + np.exp(-np.asarray(layer.weights[0], "float64")[0]))
    following = np.concatenate([x[1:], x[-1:]])
    y = np.empty((2 * len(x), x.shape[1]))
    y[::2], y[1::2] = x, shares * x + (1 - shares) * following
    return y if same else y[:-1]


def reference(model, mixture):
    """Returns what the paper's figure 1 makes of (time, channels): (time, source, channels)."""
    same, skips = not model.context, []
    x = mixture / model.headroom
    for layer in model.down_convs:
        x = leaky_relu(conv(x, layer, same))
        skips.append(x)
        x = x[::2]
    x = leaky_relu(conv(x, model.bottleneck, same))
    for between, layer in zip(model.interpolations, model.up_convs, strict=True):
        x = interpolated(x, between, same)
        x = leaky_relu(conv(np.concatenate([middle(skips.pop(), len(x)), x], 1), layer, same))
    mixture = middle(mixture, len(x))
    x = conv(np.concatenate([mixture / model.headroom, x], 1), model.output_conv, same)
    y = model.headroom * np.tanh(x).reshape(len(x), -1, model.channels)
    if model.difference:
        y = np.concatenate([y, (mixture - y.sum(1))[:, None]], 1)
    return y


@pytest.mark.parametrize("interpolation", ["linear", "learned"])
@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("difference", [True, False])
def test_the_network_is_the_papers(interpolation, context, difference):
    model = model_of(interpolation=interpolation, context=context, difference=difference)
    samples = model.valid_length(50)
    mixture = signals.noise(samples, 2, std=1.0)
    expected = reference(model, mixture)
    assert len(expected) == model.output_length(samples) >= 50
    output = np.asarray(model.network(mixture[None]))[0]
    np.testing.assert_allclose(output, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [("m1", 10_263_028), ("m4", 10_263_390), ("m5", 10_265_550), ("m6", 10_263_498)],
)
def test_parameter_counts_of_the_papers_models(preset, parameters):
    assert tonezoo.count_parameters("wave_unet", preset) == parameters


def test_the_lengths_of_the_full_size():
    model = WaveUnet()
    assert (model.valid_length(16_389), model.output_length(147_443)) == (147_443, 16_389)
    # Any shorter, and a level would not be decimated to where it is interpolated from.
    assert model.valid_length(16_390) == 147_443 + 4096


def test_the_difference_output_makes_the_sources_sum_to_the_mixture():
    model = model_of()
    mixture = signals.noise(1, 77, 2, std=1.0)
    np.testing.assert_allclose(np.asarray(model(mixture)).sum(axis=2), mixture, atol=1e-5)


@pytest.mark.parametrize("context", [True, False])
def test_a_shift_by_the_grid_shifts_the_output_past_the_context(context):
    model = model_of(context=context)
    silence = np.zeros((1, model.grid_samples, 2), "float32")
    mixture = signals.noise(1, 301, 2, std=1.0)
    shifted = np.asarray(model(np.concatenate([silence, mixture], axis=1)))
    inner = slice(model.context_samples, -model.context_samples)
    np.testing.assert_allclose(
        shifted[:, model.grid_samples :][:, inner], np.asarray(model(mixture))[:, inner], atol=1e-5
    )


@pytest.mark.parametrize("context", [True, False])
def test_segments_give_what_the_whole_signal_gives(context):
    model, task = model_of(context=context, sample_rate_hz=4000), find_task("separation")
    engine = task.engine(lambda x: np.asarray(model(x)), task.model_facts(model), "model")
    mixture = signals.noise(2000, 2, std=0.3)
    rate_hz = engine.sample_rate_hz
    whole = engine.separate(mixture, rate_hz)
    parts = engine.separate(mixture, rate_hz, SeparationOptions(segment_s=0.1))
    # Zeros before a convolution are not what it makes of zeros: without context the ends differ.
    reach = 0 if context else model.context_samples
    inner = slice(reach, len(mixture) - reach)
    for source in model.sources:
        np.testing.assert_allclose(parts[source][inner], whole[source][inner], atol=1e-5)


def test_what_lies_past_the_context_does_not_reach_a_sample():
    model, place = model_of(context=False), 160
    mixture = signals.noise(1, 321, 2, std=1.0)
    output = np.asarray(model(mixture))[0, place]
    for reach, same in ((model.context_samples + 1, True), (5, False)):
        other = np.zeros_like(mixture)
        near = slice(place - reach, place + reach + 1)
        other[:, near] = mixture[:, near]
        assert np.allclose(np.asarray(model(other))[0, place], output, atol=1e-6) == same


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": ()}, "at least one"),
        ({"sources": ("a",)}, "needs two sources"),
        ({"up_kernel_size": 4}, "must be odd"),
        ({"headroom": 0.0}, "headroom must be above 0"),
        ({"interpolation": "cubic"}, "interpolation must be one of"),
        ({"levels": 0}, "levels must be an integer of at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        WaveUnet(**options)
