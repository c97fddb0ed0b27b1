"""Separation of signals: segments, joins, shifts, rates and channels, on models that are known."""

import itertools
from functools import partial

import numpy as np
import pytest
import signals
from stubs import separator, shares

from tonezoo.models.demucs import Demucs
from tonezoo.tasks.separation import SeparationOptions

RATE_HZ = 8000
split = shares(0.25, 0.75)
SPLIT = separator(split)


noise = partial(signals.noise, std=1.0)


@pytest.mark.parametrize("samples", [1, 10, 399, 400, 401, 700, 1003])
@pytest.mark.parametrize("shape", [(), (1,), (2,), (6,)])
def test_a_model_that_scales_gives_scaled_mixtures_of_the_same_shape(samples, shape):
    # More channels than samples are refused.
    x = noise(samples, *(min(channels, samples) for channels in shape))
    stems = SPLIT.separate(x, RATE_HZ)
    assert list(stems) == ["a", "b"]
    for name, factor in (("a", 0.25), ("b", 0.75)):
        assert stems[name].shape == x.shape and stems[name].dtype == np.float32
        # The mean is taken off the mixture, and each source gets an equal part of it.
        mean = x.mean()
        expected = factor * (x - mean) + mean / 2
        np.testing.assert_allclose(stems[name], expected, rtol=0, atol=2e-6)


def test_sources_that_sum_to_what_the_model_sees_sum_to_a_mixture_with_an_offset():
    x = noise(1003, 2) + 0.5
    stems = SPLIT.separate(x, RATE_HZ)
    np.testing.assert_allclose(stems["a"] + stems["b"], x, rtol=0, atol=4e-6)


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.25, 0.5, 0.9])
def test_segments_are_cross_faded_by_triangles(overlap):
    """Against a reference that holds all segments at once, of a model that knows their borders."""
    calls = itertools.count()

    def numbered(x):
        return np.stack([np.full_like(x[i : i + 1], next(calls)) for i in range(len(x))])[:, 0][
            :, :, None
        ]

    x = noise(2301, 1)
    model = separator(numbered, sources=("a",), channels=1)
    stems = model.separate(x, RATE_HZ, SeparationOptions(overlap=overlap))
    mean, std = x.mean(), x.std()
    hop = round((1 - overlap) * 400) // 4 * 4
    added, divisor = np.zeros(2301 + 400), np.zeros(2301 + 400)
    rising = np.minimum(np.arange(1, 401), np.arange(400, 0, -1)) / 200
    starts = itertools.takewhile(lambda p: p == 0 or p - hop + 400 < 2301, itertools.count(0, hop))
    for number, start in enumerate(starts):
        added[start : start + 400] += rising * number
        divisor[start : start + 400] += rising
    expected = std * (added / np.maximum(divisor, 1e-9))[:2301] + mean
    np.testing.assert_allclose(stems["a"][:, 0], expected, rtol=1e-4, atol=1e-4)


def conv_only(upsampler="linear", **options):
    model = Demucs(
        sources=("a", "b"), width=4, depth=2, lstm_layers=0, upsampler=upsampler, **options
    )
    model.build((None, None, 2))
    return model


def of_model(model, segment=4000):
    return separator(
        lambda x: np.asarray(model(x)),
        sources=model.sources,
        grid_samples=model.grid_samples,
        context_samples=model.context_samples,
        segment_samples=segment,
    )


@pytest.mark.parametrize(
    "model",
    [
        conv_only("transposed"),
        conv_only("linear"),
        conv_only("transposed", padding="valid", glu_padding="valid"),
        conv_only("subpixel", share_window_samples=128),
    ],
    ids=["transposed", "linear", "valid", "shares"],
)
def test_a_convolution_only_model_makes_no_joins(model):
    """A sustained tone: nothing at the segment rate above -80 dB, and what one segment gives."""
    seconds, hop = 4, 3000
    x = np.sin(2 * np.pi * 440 / RATE_HZ * np.arange(seconds * RATE_HZ)).astype("float32")
    x = np.stack([x, 0.5 * x], axis=1)
    pieces = of_model(model).separate(x, RATE_HZ)
    whole = of_model(model, segment=len(x)).separate(x, RATE_HZ)
    for name in model.sources:
        # At its ends the whole signal is padded otherwise than a segment is.
        difference = (pieces[name] - whole[name])[500:-500]
        assert np.abs(difference).max() < 1e-4 * np.abs(whole[name]).max()
        # Eight segments: the tone is in bin 1320, what repeats with the segments 8 bins around it.
        inside = pieces[name][2000 : 2000 + 8 * hop, 0]
        spectrum = np.abs(np.fft.rfft(inside * np.hanning(len(inside) + 1)[:-1]))
        near = [spectrum[1320 + 8 * k] for k in range(-9, 10) if k]
        at_rate = [spectrum[8 * k] for k in range(1, 9)]
        assert 20 * np.log10(max(near + at_rate) / spectrum[1320]) < -80


def test_joins_of_a_model_without_context_would_be_seen():
    """The test above can fail: without the context the borders of the segments are heard."""
    model = conv_only("linear")
    x = noise(20_000, 2)
    blind = of_model(model)
    blind.context_samples = 0
    whole = of_model(model, segment=len(x)).separate(x, RATE_HZ)
    pieces = blind.separate(x, RATE_HZ, SeparationOptions(overlap=0))
    difference = (pieces["a"] - whole["a"])[500:-500]
    assert np.abs(difference).max() > 1e-2 * np.abs(whole["a"]).max()


@pytest.mark.parametrize("shifts", [1, 3, 10])
def test_shifts_keep_length_and_place(shifts):
    x = noise(5003, 2)
    stems = SPLIT.separate(x, RATE_HZ, SeparationOptions(shifts=shifts))
    mean = x.mean()
    np.testing.assert_allclose(stems["b"], 0.75 * (x - mean) + mean / 2, rtol=0, atol=3e-6)


def test_shifts_average_over_different_offsets_of_one_seed():
    """A model that multiplies by a sawtooth of the grid: the average over offsets flattens it."""

    def sawtooth(x):
        return (x * (np.arange(x.shape[1]) % 4000 / 4000)[None, :, None])[:, :, None]

    model = separator(sawtooth, sources=("a",), channels=1, segment_samples=100_000)
    x = np.tile([1.0, -1.0], 8000).astype("float32")
    once = model.separate(x, RATE_HZ)["a"]
    many = model.separate(x, RATE_HZ, SeparationOptions(shifts=20))["a"]
    again = model.separate(x, RATE_HZ, SeparationOptions(shifts=20))["a"]
    other = model.separate(x, RATE_HZ, SeparationOptions(shifts=20, seed=1))["a"]
    np.testing.assert_array_equal(many, again)
    assert not np.array_equal(many, other)
    assert np.abs(many).std() < 0.5 * np.abs(once).std()


@pytest.mark.parametrize("rate_hz", [4000, 11_025, 44_100, 8000.5])
def test_other_rates_come_back_with_their_own_length(rate_hz):
    seconds = np.arange(round(1.3 * rate_hz)) / rate_hz
    x = np.sin(2 * np.pi * 300 * seconds).astype("float32")
    stems = SPLIT.separate(x, rate_hz)
    assert stems["a"].shape == x.shape
    inside = slice(len(x) // 10, -len(x) // 10)
    np.testing.assert_allclose(stems["b"][inside], 0.75 * x[inside], rtol=0, atol=2e-3)


def test_each_of_many_channels_is_separated_by_itself():
    def left_only(x):
        """Leaves the right channel out: of a channel copied to both, half remains."""
        return np.stack([x * np.array([1.0, 0.0], "float32")], axis=2)

    model = separator(left_only, sources=("a",))
    x = noise(1000, 3)
    x -= x.mean()
    np.testing.assert_allclose(model.separate(x, RATE_HZ)["a"], x / 2, rtol=0, atol=2e-6)
    x = noise(1000, 2)
    x -= x.mean()
    stem = model.separate(x, RATE_HZ)["a"]
    np.testing.assert_allclose(stem, x * [1, 0], rtol=0, atol=2e-6)


def test_a_mono_model_takes_stereo_as_two_signals():
    model = separator(lambda x: x[:, :, None], sources=("a",), channels=1)
    x = noise(1000, 2)
    np.testing.assert_allclose(model.separate(x, RATE_HZ)["a"], x, rtol=0, atol=2e-6)


def test_the_model_sees_a_mixture_of_mean_0_and_standard_deviation_1():
    seen = []

    def spy(x):
        seen.append(x)
        return split(x)

    separator(spy).separate(3 + 0.01 * noise(300, 2), RATE_HZ)
    mono = seen[0].mean(axis=2)
    assert abs(mono.mean()) < 1e-3 and abs(mono.std() - 1) < 1e-3


def test_channels_that_cancel_each_other_out_are_no_silence():
    x = noise(1000, 1)
    x = np.concatenate([x, -x], axis=1)
    stems = SPLIT.separate(x, RATE_HZ)
    np.testing.assert_allclose(stems["b"], 0.75 * x, rtol=0, atol=2e-6)


def test_silence_stays_silent_whatever_the_model_makes_of_it():
    noisy = separator(lambda x: np.stack([x + 1, x - 1], axis=2))
    stems = noisy.separate(np.zeros((1000, 2), "float32"), RATE_HZ)
    assert not np.any(stems["a"]) and not np.any(stems["b"])


@pytest.mark.parametrize("value", [0.0, 0.25])
def test_silence_and_constants_stay_finite(value):
    stems = SPLIT.separate(np.full((1000, 2), value, "float32"), RATE_HZ)
    for stem in stems.values():
        np.testing.assert_allclose(stem, value / 2, atol=1e-6)


def test_a_long_stream_is_held_by_the_segment():
    """Of a stream, no more than some segments is read ahead of what has been given out."""
    read = [0]

    def blocks():
        for _ in range(500):
            read[0] += 100
            yield np.ones((100, 2), "float32") * np.sin(np.arange(100))[:, None].astype("float32")

    ahead, done = [], 0
    stream = SPLIT.stream(blocks, RATE_HZ)
    for block in stream:
        if not done:
            read[0] -= 50_000  # the pass that measured the level
        done += len(block)
        ahead.append(read[0] - done)
    assert done == 50_000
    assert max(ahead) < 6 * 400


def test_a_wrong_rate_or_model_is_refused():
    with pytest.raises(ValueError, match="The sample rate is 0, but"):
        SPLIT.separate(np.ones(10), 0)
    with pytest.raises(ValueError, match="not a model of 2 sources and 2 channels"):
        separator(lambda x: x).separate(np.ones(10), RATE_HZ)


def test_a_segment_of_ones_own_is_rounded_up_to_the_grid():
    lengths = []

    def spy(x):
        lengths.append(x.shape[1])
        return split(x)

    separator(spy).separate(noise(5000, 2), RATE_HZ, SeparationOptions(segment_s=0.1001))
    assert set(lengths) == {804 + 2 * 8}
