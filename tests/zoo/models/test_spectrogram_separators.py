"""Separators on the spectrogram, Open-Unmix and Sams-Net, and the filter between their sources."""

import keras
import numpy as np
import pytest
import signals
from keras import ops

import tonezoo
from tonezoo.models.open_unmix import OpenUnmix
from tonezoo.models.sams_net import SamsNet, SamsNetBlock
from tonezoo.models.wiener import wiener_filter
from tonezoo.recipes import load_recipe
from tonezoo.recipes.config import override
from tonezoo.tasks import find_task
from tonezoo.tasks.separation import SeparationOptions
from tonezoo.training import SupervisedTrainer

SMALL = {"window_samples": 64, "hop_samples": 16, "input_bins": 25, "sources": ("a", "b")}
MODELS = {
    "OpenUnmix": lambda **options: OpenUnmix(width=4, lstm_layers=1, **{**SMALL, **options}),
    "SamsNet": lambda **options: SamsNet(width=6, blocks=1, slices=2, **{**SMALL, **options}),
}
each_model = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def built(make, **options):
    keras.utils.set_random_seed(0)
    model = make(**options)
    model.build((None, None, model.channels))
    return model


@pytest.mark.parametrize(
    ("name", "preset", "parameters"),
    # The published count of Open-Unmix, without PyTorch's second biases, and moving moments beside.
    [
        ("open_unmix", "umx_vocals", 8_887_204 + 2 * (512 + 512 + 4098)),
        ("sams_net", "vocals", 3_667_778),
    ],
)
def test_parameter_counts_of_one_source_at_full_size(name, preset, parameters):
    assert tonezoo.count_parameters(name, preset) == parameters


@each_model
def test_masks_of_one_give_the_mixture_back_up_to_its_ends(make):
    model = built(make, sources=("a",), wiener_iterations=0)
    network = model.mask_networks[0]
    # relu(x * 0 + 1), whatever the network says.
    network.scale_output.scale.assign(ops.zeros_like(network.scale_output.scale))
    mixture = signals.noise(2, 333, 2, std=1.0)
    np.testing.assert_allclose(np.asarray(model(mixture))[:, :, 0], mixture, atol=1e-5)


@each_model
def test_what_the_network_is_trained_on_is_the_magnitude_of_a_transform_without_scale(make):
    model = built(make)
    stems = signals.noise(1, 160, 2, 2, std=1.0)
    # The frame in the middle of hop 5, whose first sample is 5 * 16 - (64 - 16) / 2.
    frame = stems[0, 56:120] * np.hanning(65)[:-1, None, None]
    expected = np.abs(np.fft.rfft(frame, axis=0)).transpose(1, 2, 0)
    target = np.asarray(model.training_target(stems))
    assert target.shape == (1, 10, 2, 2, 33)
    np.testing.assert_allclose(target[0, 5], expected, atol=1e-4)
    assert model.network(stems.sum(axis=2)).shape == target.shape


@each_model
def test_inputs_are_scaled_to_mean_0_and_deviation_1(make):
    model = built(make)
    mixtures = [signals.noise(2, 800, 2, seed=seed, std=1.0) for seed in range(3)]
    model.adapt(mixtures)
    magnitudes = np.concatenate(
        [np.asarray(model.training_target(x[:, :, None]))[:, :, 0] for x in mixtures]
    )
    for network in model.mask_networks:
        scaled = np.asarray(network.scale_input(magnitudes[..., : network.input_bins]))
        np.testing.assert_allclose(scaled.mean(axis=(0, 1, 2)), 0, atol=1e-3)
        np.testing.assert_allclose(scaled.std(axis=(0, 1, 2)), 1, atol=1e-3)


@pytest.mark.slow
def test_training_scales_the_inputs_and_lowers_the_loss():
    cfg = override(load_recipe("open_unmix_tiny").config, ["tracks=2", "track_s=2"])
    experiment = cfg.build(cfg.data_source(None), 1)
    network = experiment.networks["separator"]
    assert np.all(np.asarray(network.mask_networks[0].scale_input.mean) == 0)
    experiment.start()
    assert np.all(np.asarray(network.mask_networks[0].scale_input.mean)[5:100] < 0)
    phase = experiment.phases[0]
    history = phase.model.fit(
        phase.dataset(0), steps_per_epoch=10, epochs=3, verbose=0, shuffle=False
    ).history["loss"]
    assert history[-1] < history[0]


def test_a_trainer_compares_magnitudes_in_training_and_in_validation():
    model = built(MODELS["OpenUnmix"])
    trainer = SupervisedTrainer(model)
    trainer.compile(keras.optimizers.SGD(0.0), loss="mean_squared_error")
    stems = signals.noise(2, 128, 2, 2, std=1.0)
    mixture = stems.sum(axis=2)
    estimate = np.asarray(model.network(mixture, training=False))
    error = np.mean((estimate - np.asarray(model.training_target(stems))) ** 2)
    loss = trainer.evaluate(mixture, stems, verbose=0)
    assert float(np.ravel(loss)[0]) == pytest.approx(float(error), rel=1e-4)


def softmax(x):
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def test_each_slice_of_the_channels_attends_to_frames_by_itself():
    block = SamsNetBlock(width=6, slices=2)
    # (batch, frame, bin, part * slice * channel)
    x = signals.noise(1, 5, 4, 18, std=1.0)
    output = np.asarray(block.attention(x))
    parts = x.reshape(5, 4, 3, 2, 3)
    for number in range(2):
        queries, keys, values = (parts[:, :, part, number].reshape(5, 12) for part in range(3))
        expected = softmax(queries @ keys.T / np.sqrt(12)) @ values
        own = slice(3 * number, 3 * number + 3)
        np.testing.assert_allclose(output[0, :, :, own].reshape(5, 12), expected, atol=1e-5)


def test_the_filter_loses_nothing_of_mono_in_both_channels():
    # Its covariance has an eigenvalue of 0, whose inverse is 1e5.
    mono = np.random.default_rng(0).normal(0, 30, (2, 1, 50, 1, 20)).astype("float32")
    spectrum = np.repeat(mono, 2, axis=3)
    masks = np.random.default_rng(1).uniform(0, 1, (1, 50, 3, 1, 20)).astype("float32")
    real, imaginary = wiener_filter(*spectrum, np.repeat(masks, 2, axis=3))
    for part, mixture in ((real, spectrum[0]), (imaginary, spectrum[1])):
        part = np.asarray(part)
        assert np.isfinite(part).all()
        np.testing.assert_allclose(part.sum(axis=2), mixture, atol=0.01)
        np.testing.assert_allclose(part[..., 0, :], part[..., 1, :], atol=0.01)


@pytest.mark.parametrize("channels", [1, 2])
def test_windows_of_the_filter_are_of_equal_length_and_independent(channels):
    rng = np.random.default_rng(0)
    spectrum = rng.normal(0, 5, (2, 1, 9, channels, 4)).astype("float32")
    masks = rng.uniform(0, 1, (1, 9, 2, channels, 4)).astype("float32")
    whole = np.stack(wiener_filter(*spectrum, masks, window_frames=4))
    parts = [
        np.stack(wiener_filter(*spectrum[:, :, start : start + 3], masks[:, start : start + 3]))
        for start in (0, 3, 6)
    ]
    np.testing.assert_allclose(whole, np.concatenate(parts, axis=2), atol=1e-4)


def test_silence_stays_silent_through_the_filter():
    model = built(MODELS["OpenUnmix"])
    assert np.abs(np.asarray(model(np.zeros((1, 100, 2), "float32")))).max() == 0


@pytest.mark.parametrize("level", ["standard", "file"])
def test_a_model_gets_the_mixture_at_the_level_it_expects(level):
    model = built(MODELS["OpenUnmix"], mixture_level=level, sample_rate_hz=8000)
    task, seen = find_task("separation"), []

    def call(x):
        seen.append(x.std())
        return np.asarray(model(x))

    facts = task.model_facts(model)
    assert facts.mixture_level == level
    engine = task.engine(call, facts, "model")
    mixture = signals.noise(1000, 2, std=0.01)
    stems = engine.separate(mixture, 8000)
    assert seen[0] == pytest.approx(0.01 if level == "file" else 1.4, rel=0.1)
    assert stems["a"].shape == mixture.shape
    served = task.signatures(model)["serving_default"](mixture[None])
    np.testing.assert_allclose(served["a"][0], stems["a"], atol=1e-6)
    with pytest.raises(ValueError, match="mixture_level must be one of standard, file"):
        type(facts).read({**vars(facts), "sources": ["a"], "mixture_level": "loud"}, "manifest")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": ("a",), "wiener_iterations": 1}, "needs two of them.*wiener_iterations=0"),
        ({"channels": 3}, "channels must be one of 1, 2"),
        ({"mixture_level": "loud"}, "mixture_level must be one of"),
        ({"input_bins": 34}, "input_bins"),
        ({"hop_samples": 48}, "window_samples must be hop_samples times"),
        ({"sources": ("a", "a")}, "different names"),
    ],
)
@each_model
def test_options_out_of_range_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


@each_model
@pytest.mark.parametrize("sources", [("a",), ("a", "b")])
def test_joins_of_a_tone_through_equal_masks_are_below_80_db(make, sources):
    rate_hz = 8000
    model = built(
        make, sources=sources, sample_rate_hz=rate_hz, wiener_iterations=int(len(sources) > 1)
    )
    for network in model.mask_networks:
        network.scale_output.scale.assign(ops.zeros_like(network.scale_output.scale))
    task = find_task("separation")
    engine = task.engine(lambda x: np.asarray(model(x)), task.model_facts(model), "model")
    tone = signals.sine(440.0, rate_hz, rate_hz)
    stems = engine.separate(tone, rate_hz, SeparationOptions(segment_s=0.1))
    for stem in stems.values():
        # Equal masks share a signal equally.
        error = np.abs(stem - tone / len(sources)).max()
        assert 20 * np.log10(error / 0.5) < -80
