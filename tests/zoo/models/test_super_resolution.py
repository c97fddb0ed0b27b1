"""Lengths, chunks and precision of the super-resolution models, with weights that matter."""

import numpy as np
import pytest
import signals
from scipy.interpolate import CubicSpline
from stubs import super_resolver

import tonezoo
from tonezoo.audio.interpolation import high_pass_taps
from tonezoo.models.mu_gan import BAND_KEPT
from tonezoo.registry import model_entry

MODELS = [
    *(("mu_gan", 2), ("mu_gan", 4), ("mu_gan", 6)),
    *(("audio_unet", 4), ("audio_unet", 6)),
    *(("band_extender", 2), ("band_extender", 6)),
]


def tiny(name, ratio, **options):
    """A tiny model whose last layers are moved off their start near zero."""
    model = tonezoo.create_model(name, preset="tiny", ratio=ratio, **options)
    random = np.random.default_rng(1)
    is_extender = name == "band_extender"
    for layer in (model.magnitudes, model.gains) if is_extender else (model.final_conv,):
        layer.kernel.assign(random.normal(0, 0.1, layer.kernel.shape))
    return model


def noise(time, batch=1, seed=0):
    return signals.noise(batch, time, 1, seed=seed, std=1.0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ratio"), MODELS)
def test_output_has_ratio_times_the_samples_of_any_length(name, ratio):
    model = tiny(name, ratio)
    for time in (1, 2, 7, 64, 65):
        assert model(noise(time)).shape == (1, ratio * time, 1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ratio"), MODELS)
def test_padded_batch_gives_what_each_signal_gives_alone(name, ratio):
    model = tiny(name, ratio)
    lengths = [1, 5, 37, 90]
    waveforms = [noise(length, seed=length) for length in lengths]
    # What lies in the padding must not matter, hence 3, not 0.
    padded = [
        np.pad(signal, ((0, 0), (0, max(lengths) - signal.shape[1]), (0, 0)), constant_values=3)
        for signal in waveforms
    ]
    together = np.asarray(model(np.concatenate(padded), lengths=np.array(lengths)))
    for row, signal in enumerate(waveforms):
        alone = np.asarray(model(signal))
        end = alone.shape[1]
        np.testing.assert_allclose(together[row : row + 1, :end], alone, rtol=0, atol=1e-5)
        assert not together[row, end:].any()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ratio"), MODELS[1:])
@pytest.mark.parametrize("chunk_samples", [1, 1000, 2500])
def test_chunks_join_to_the_whole(name, ratio, chunk_samples):
    model = tiny(name, ratio)
    extent = {name: getattr(model, name) for name in ("grid_samples", "context_samples")}
    resolver = super_resolver(lambda x: np.asarray(model(x)), ratio, **extent)
    # A chunk of one grid cell would call the model hundreds of times on a long signal.
    low = noise(61 if chunk_samples == 1 else 1501)[0]
    whole = np.concatenate(list(resolver.stream([low])))
    joined = np.concatenate(list(resolver.stream([low], chunk_samples)))
    assert len(whole) == ratio * len(low)
    np.testing.assert_allclose(joined, whole, rtol=0, atol=1e-5)


def test_too_little_context_would_show():
    """The receptive field is used: a quarter of the context is not enough for 1e-5."""
    model = tiny("mu_gan", 4)
    low = noise(1501)
    whole = np.asarray(model(low))
    start = 200 * model.grid_samples // 4
    errors = []
    for context in (model.context_samples, model.context_samples // 4):
        grid_low = model.grid_samples // 4
        left = -(-context // 4 // grid_low) * grid_low
        part = np.asarray(model(low[:, start - left :]))[:, 4 * left :]
        errors.append(np.abs(part - whole[:, 4 * start :]).max())
    assert errors[0] < 1e-5 < errors[1]


def test_untrained_generator_is_the_spline():
    model = tonezoo.create_model("mu_gan", preset="tiny", ratio=4)
    low = noise(200).astype("float64")
    output = np.asarray(model(low))[0, :, 0]
    spline = CubicSpline(np.arange(200) * 4, low[0, :, 0])(np.arange(800))
    inside = slice(100, 696)
    assert np.abs(output - spline)[inside].max() < 0.03 * np.abs(spline).max()


@pytest.mark.parametrize(("preset", "field"), [("l4", 3642), ("l8", 61_482), ("l4_strided", 3642)])
def test_theoretical_receptive_field(preset, field):
    entry = model_entry("mu_gan")
    # Not built: its hundred million variables have no part in it.
    assert entry.model(**entry.presets[preset]).receptive_field_samples == field


@pytest.mark.parametrize("name", ["mu_gan", "audio_unet", "band_extender"])
def test_one_sample_reaches_no_further_than_the_context(name):
    """What one low-rate sample changes lies within the theoretical field."""
    model = tiny(name, 2)
    size = 4 * model.receptive_field_samples // 2
    low = np.zeros((1, size, 1), "float32")
    base = np.asarray(model(low))
    low[0, size // 2, 0] = 1.0
    reached = np.flatnonzero(np.abs(np.asarray(model(low)) - base)[0, :, 0] > 1e-12)
    extent = reached.max() - reached.min() + 1
    spline_reach = 2 * max(model.interpolate.context) * 2
    assert extent <= model.receptive_field_samples + spline_reach + 2**model.levels
    assert reached.max() <= size + model.context_samples
    assert reached.min() >= size - model.context_samples


def test_mixed_precision_keeps_the_audio_path_in_float32():
    model = tonezoo.create_model("mu_gan", preset="tiny", dtype="mixed_float16")
    output = model(noise(50))
    assert output.dtype == "float32"
    exact = tonezoo.create_model("mu_gan", preset="tiny")
    exact.build((None, None, 1))
    exact.set_weights(model.get_weights())
    np.testing.assert_allclose(output, exact(noise(50)), rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 100), (4, 0, 1), (4, 100, 2)])
def test_wrong_shapes_are_explained(shape):
    with pytest.raises(ValueError, match="batch, time, 1"):
        tonezoo.create_model("mu_gan", preset="tiny")(np.zeros(shape, "float32"))


@pytest.mark.parametrize("ratio", [1, 0, 2.5])
def test_ratio_must_be_an_integer_of_at_least_two(ratio):
    with pytest.raises(ValueError, match="ratio must be an integer of at least 2"):
        tonezoo.create_model("mu_gan", preset="tiny", ratio=ratio)


def test_band_kept_generator_leaves_the_low_band_to_the_interpolation():
    model = tiny("mu_gan", 4, **BAND_KEPT)
    low = noise(4096)
    residual = np.asarray(model(low) - model.interpolate(low))[0, :, 0]
    power = np.abs(np.fft.rfft(residual * np.hanning(len(residual)))) ** 2
    frequency = np.linspace(0, 4, len(power))  # 1 is the input's Nyquist frequency
    passed = power[(frequency > 0.9)].mean()
    assert 10 * np.log10(power[frequency < 0.7].mean() / passed) < -45
    plain = np.abs(np.fft.rfft(np.asarray(model.interpolate(low))[0, :, 0])) ** 2
    assert passed > 0.01 * plain[frequency < 0.7].mean()


def test_band_kept_generator_is_proportional_to_its_input():
    model = tiny("mu_gan", 4, **BAND_KEPT)
    low = noise(300)
    np.testing.assert_allclose(model(1e-3 * low), 1e-3 * np.asarray(model(low)), rtol=0, atol=1e-8)
    assert not np.any(model(0 * low))


def test_high_pass_taps_pass_what_lies_above_and_stop_what_lies_below():
    taps = high_pass_taps(0.2, 4)
    assert len(taps) == 161
    frequency = np.linspace(0, 1, 1001)
    gain = np.abs([np.sum(taps * np.cos(np.pi * f * np.arange(-80, 81))) for f in frequency])
    assert gain[frequency < 0.18].max() < 0.004
    assert np.abs(gain[frequency > 0.22] - 1).max() < 0.004
    assert gain[200] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"interpolation": "linear"}, r"must be one of .*'cubic', 'sinc'.* but is 'linear'"),
        ({"keep_below": 1.0}, "keep_below must be at least 0 and below 1, but is 1.0"),
    ],
)
def test_unknown_guards_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tiny("mu_gan", 4, **options)
