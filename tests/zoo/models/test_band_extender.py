"""The band extender: its network written out in NumPy, its levels and what it leaves alone."""

import numpy as np
import pytest
import signals
from scipy.special import erf

import tonezoo
from tonezoo.audio.interpolation import high_pass_taps


def extender(ratio=2, **options):
    """A tiny model whose variables are moved off the zeros and ones that they start at."""
    model = tonezoo.create_model("band_extender", preset="tiny", ratio=ratio, **options)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign_add(rng.normal(0, 0.1, variable.shape))
    return model


def noise(time, seed=0):
    return signals.noise(1, time, 1, seed=seed, std=0.1)


def convolved(x, kernel):
    """x (frames, channels) with a kernel (taps, channels, filters), zeros beyond the ends."""
    reach = len(kernel) // 2
    padded = np.pad(x, ((reach, reach), (0, 0)))
    return np.array(
        [np.einsum("tc,tcf->f", padded[n : n + len(kernel)], kernel) for n in range(len(x))]
    )


def normalized(x, norm):
    deviation = x - x.mean(axis=-1, keepdims=True)
    scale = np.sqrt((deviation**2).mean(axis=-1, keepdims=True) + 1e-6)
    return deviation / scale * np.array(norm.gamma) + np.array(norm.beta)


def dense(x, layer):
    return x @ np.array(layer.kernel, "float64") + np.array(layer.bias)


def written_out(model, low):
    """The output for low (time,), from the docstring of the class, one frame after another."""
    window, hop = model.window_samples, model.hop_samples
    base = np.array(model.interpolate(low[None, :, None]), "float64")[0, :, 0]
    x = np.pad(base, (0, -len(base) % hop))
    count = len(x) // hop
    before = (window - hop) // 2
    padded = np.pad(x, (before, window))
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = hop * np.arange(count)
    spectrum = np.array([np.fft.rfft(hann * padded[s : s + window]) for s in starts]) * 4 / window

    low_bins = window // 2 // model.ratio + 2
    given = spectrum[:, :low_bins]
    power = np.pad((np.abs(given) ** 2).mean(axis=1), 4)
    level = np.sqrt(np.array([power[n : n + 9].mean() for n in range(count)]) + 1e-20)[:, None]
    relative = given / level
    y = np.concatenate([relative.real, relative.imag, np.log(np.abs(relative) + 1e-3)], axis=1)
    y = normalized(
        convolved(y, np.array(model.first.kernel)) + np.array(model.first.bias), model.first_norm
    )
    for block in model.blocks:
        taps = np.array(block.conv.kernel)[:, :, 0]
        z = convolved(y, taps[:, :, None] * np.eye(taps.shape[1])) + np.array(block.conv.bias)
        z = dense(normalized(z, block.norm), block.widen)
        z = z * (1 + erf(z / np.sqrt(2))) / 2
        y = y + np.array(block.scale) * dense(z, block.narrow)
    y = normalized(y, model.last_norm)

    first = int(0.9 * 0.8 * window / 2 / model.ratio)
    size = level * np.exp(np.minimum(dense(y, model.magnitudes), 4))
    phase = dense(y, model.phases)
    gains = np.split(8 * dense(y, model.gains), 2, axis=1)
    made_up = np.zeros_like(spectrum)
    made_up[:, first:] = size * np.exp(1j * phase)
    made_up[:, first:low_bins] += (gains[0] + 1j * gains[1]) * given[:, first:]
    added = np.zeros(len(padded))
    for n, start in enumerate(starts):
        added[start : start + window] += hann * np.fft.irfft(made_up[n]) * window / 4 / 1.5
    added = added[before : before + len(x)]
    high_pass = high_pass_taps(0.8 / model.ratio, model.ratio)
    return base + np.convolve(added, high_pass, mode="same")[: len(base)]


@pytest.mark.parametrize(("ratio", "time"), [(2, 150), (3, 101)])
def test_the_network_is_the_one_described(ratio, time):
    model = extender(ratio)
    low = noise(time)
    output = np.array(model(low))[0, :, 0]
    expected = written_out(model, low[0, :, 0])
    assert np.abs(expected - np.array(model.interpolate(low))[0, :, 0]).std() > 0.003
    np.testing.assert_allclose(output, expected, atol=1e-5 * np.abs(expected).max())


def test_an_untrained_model_adds_little():
    model = tonezoo.create_model("band_extender", preset="small")
    low = noise(2000)
    base = np.array(model.interpolate(low))
    added = np.array(model(low)) - base
    assert 0 < added.std() < 0.1 * base.std()


def test_the_output_is_proportional_to_the_input():
    model = extender()
    low = noise(300)
    expected = 1e-3 * np.array(model(low))
    np.testing.assert_allclose(model(1e-3 * low), expected, rtol=0, atol=1e-7 * low.std())
    assert np.abs(model(0 * low)).max() < 1e-9


def test_the_given_band_is_left_alone():
    model = extender(4)
    low = noise(4096)
    added = np.array(model(low) - model.interpolate(low))[0, :, 0]
    power = np.abs(np.fft.rfft(added * np.hanning(len(added)))) ** 2
    frequency = np.linspace(0, 4, len(power))  # 1 is the input's Nyquist frequency
    assert power[frequency < 0.7].mean() < 1e-4 * power[frequency > 0.9].mean()


@pytest.mark.parametrize("window_samples", [0, 4, 96])
def test_windows_that_are_no_power_of_two_are_refused(window_samples):
    with pytest.raises(ValueError, match="a power of 2 of at least 8, but is"):
        extender(window_samples=window_samples)
