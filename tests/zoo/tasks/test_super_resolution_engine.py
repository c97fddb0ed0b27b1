"""Chunked inference equals whole-file inference, and inputs of any rate are brought to the model's.

The models here are NumPy toys with the structure of a real one: they upsample, run convolutions at
a quarter of the rate, and come back, so that a wrong grid or too little context shows.
"""

import math
import warnings
from functools import partial

import numpy as np
import pytest
import signals
from stubs import super_resolver

FILTERS = np.random.default_rng(0).standard_normal((3, 3, 4, 4)) / 2
# Each output depends on what the three convolutions of the toy reach: one step of 4 samples each,
# counted from the ends of its own block of 4.
TOY_CONTEXT = 3 * 4 + 3


def toy(ratio):
    """Returns a model that shifts only by multiples of lcm(4, ratio) high-rate samples."""

    def call(low):
        high = np.repeat(low, ratio, axis=1)
        batch, time, _ = high.shape
        padded = np.pad(high, ((0, 0), (0, -time % 4), (0, 0)))
        # axes: (batch, time, 1) -> (batch, time / 4, 4)
        hidden = padded.reshape(batch, -1, 4).astype("float64")
        for taps in FILTERS:
            steps = np.pad(hidden, ((0, 0), (1, 1), (0, 0)))
            length = hidden.shape[1]
            hidden = np.tanh(sum(steps[:, k : k + length] @ taps[k] for k in range(3)))
        return (high + hidden.reshape(batch, -1, 1)[:, :time]).astype("float32")

    return call


def toy_resolver(ratio=2, **overrides):
    options = {"grid_samples": math.lcm(4, ratio), "context_samples": TOY_CONTEXT, "name": "toy"}
    return super_resolver(toy(ratio), ratio, **options | overrides)


noise = partial(signals.noise, std=1.0)


def cut(samples, *sizes):
    """Returns the samples as blocks, of these sizes in turn."""
    blocks, start = [], 0
    while start < len(samples):
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(samples[start : start + size])
        start += size
    return blocks


def whole(resolver, samples):
    return resolver.enhance(samples, resolver.low_rate_hz)


def chunked(resolver, samples, chunk_samples, *sizes):
    return np.concatenate(list(resolver.stream(cut(samples, *sizes), chunk_samples)))


@pytest.mark.parametrize("chunk_samples", [1, 4, 5, 12, 36, 60, 100, 997, 10**6])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 100, 341])
@pytest.mark.parametrize("ratio", [1, 2, 3, 4, 6])
def test_chunks_equal_the_whole(ratio, length, chunk_samples):
    resolver = toy_resolver(ratio)
    # More channels than samples are refused.
    channels = min(length, 2)
    samples = noise(length, channels)
    output = chunked(resolver, samples, chunk_samples, 13, 1, 64)
    assert output.shape == (ratio * length, channels) and output.dtype == np.float32
    np.testing.assert_allclose(output, whole(resolver, samples), rtol=0, atol=1e-6)


def made_up(trained, samples, ratio, method):
    """Returns what lies above the input's band of what was added to its interpolation."""
    from tonezoo.audio.interpolation import high_pass_taps
    from tonezoo.layers import Interpolate1D

    # axes: (time, channels) -> (batch, time, 1)
    base = np.asarray(Interpolate1D(ratio, method)(samples.T[..., None]))[..., 0].T
    taps = high_pass_taps(1 / ratio, ratio)
    first = len(taps) // 2
    padded = np.pad((trained - base).astype("float64"), ((first, first), (0, 0)))
    return np.stack([np.convolve(x, taps, mode="valid") for x in padded.T], axis=1)


def test_strength_leaves_what_the_model_corrects_in_the_band_of_its_input():
    def two_tones(low):
        n = np.arange(4 * low.shape[1])
        tones = np.sin(np.pi * 0.15 * n) + np.sin(np.pi * 0.5 * n)
        return np.repeat(0 * low, 4, axis=1) + tones[None, :, None].astype("float32")

    resolver = super_resolver(two_tones, interpolation="cubic")
    output = resolver.enhance(np.zeros(1100), 4000, strength_db=-20)[200:4200]
    # Of 4000 samples: 0.15 of the Nyquist frequency is below 1 / 4 of it, 0.5 above.
    amplitudes = np.abs(np.fft.rfft(output))[[300, 1000]] / 2000
    np.testing.assert_allclose(amplitudes, [1, 0.1], rtol=3e-3)


@pytest.mark.parametrize("chunk_samples", [36, 100])
@pytest.mark.parametrize("method", ["cubic", "sinc"])
@pytest.mark.parametrize("ratio", [2, 6])
def test_strength_scales_what_is_made_up_chunked_or_whole(ratio, method, chunk_samples):
    # The toy itself looks less far around than the interpolation and the high-pass do.
    resolver, samples = toy_resolver(ratio, interpolation=method), noise(99, 2)
    trained = whole(resolver, samples)
    scaled = made_up(trained, samples, ratio, method)
    for strength_db, gain in ((6.0, 10**0.3), (-1000.0, 0)):
        options = {"strength_db": strength_db}
        output = resolver.enhance(samples, resolver.low_rate_hz, **options)
        assert output.dtype == np.float32
        np.testing.assert_allclose(output, trained + (gain - 1) * scaled, rtol=1e-6, atol=5e-6)
        blocks = resolver.stream(cut(samples, 13, 1, 64), chunk_samples, **options)
        np.testing.assert_allclose(np.concatenate(list(blocks)), output, rtol=0, atol=5e-6)


def test_the_strength_is_the_models_own_unless_another_is_asked_for():
    samples = noise(50)
    plain = toy_resolver()
    soft = toy_resolver(interpolation="cubic", strength_db=-6)
    assert (plain.strength_db, soft.strength_db) == (0, -6)
    trained = whole(plain, samples)
    # 0 dB is the model bit by bit, not what is left after rounding.
    np.testing.assert_array_equal(soft.enhance(samples, 8000, strength_db=0), trained)
    np.testing.assert_array_equal(plain.enhance(samples, 8000, strength_db=0.0), trained)
    own = whole(soft, samples)
    np.testing.assert_array_equal(own, soft.enhance(samples, 8000, strength_db=-6.0))
    assert np.abs(own - trained).max() > 0.01


@pytest.mark.parametrize("strength", [20.1, np.inf, -np.inf, np.nan, "3", True])
def test_strengths_that_are_no_number_up_to_20_are_refused(strength):
    with pytest.raises(ValueError, match=r"The strength is .* Give a finite number of at most 20"):
        toy_resolver(interpolation="cubic").enhance(noise(5), 8000, strength_db=strength)
    with pytest.raises(ValueError, match="The strength is"):
        toy_resolver(interpolation="cubic", strength_db=strength)


def test_without_a_known_interpolation_there_is_no_strength():
    with pytest.raises(ValueError, match="toy does not say which interpolation it adds to"):
        toy_resolver().enhance(noise(5), 8000, strength_db=-3)
    with pytest.raises(ValueError, match="toy does not say which interpolation it adds to"):
        toy_resolver(strength_db=-3)


@pytest.mark.parametrize("wrong", [{"grid_samples": 2}, {"context_samples": 8}])
def test_the_toy_notices_a_wrong_grid_and_too_little_context(wrong):
    samples = noise(200, 1)
    output = chunked(toy_resolver(**wrong), samples, 50, 200)
    assert np.abs(output - whole(toy_resolver(), samples)).max() > 1e-3


def test_how_the_signal_is_cut_into_blocks_does_not_matter():
    resolver, samples = toy_resolver(), noise(150, 1)
    outputs = [chunked(resolver, samples, 40, *sizes) for sizes in [(1,), (150,), (0, 37, 20)]]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])


def test_chunks_away_from_the_ends_have_one_shape_and_start_on_the_grid():
    starts, shapes = [], []

    def record(low):
        starts.append(int(low[0, 0, 0]))
        shapes.append(low.shape)
        return np.repeat(low, 2, axis=1)

    resolver = super_resolver(record, 2, sample_rate_hz=100, grid_samples=8, context_samples=10)
    count = np.arange(101, dtype="float32")[:, None] * np.ones(3, "float32")
    output = chunked(resolver, count, 33, 7)
    np.testing.assert_array_equal(output, np.repeat(count, 2, axis=0))
    # At the low rate: chunks of 40 / 2 from 0, 20, 40, ... with a context of 16 / 2.
    assert starts == [0, 12, 32, 52, 72, 92]
    assert shapes == [(3, 28, 1), (3, 36, 1), (3, 36, 1), (3, 36, 1), (3, 29, 1), (3, 9, 1)]


def test_the_whole_signal_is_one_call_with_channels_as_the_batch():
    shapes = []

    def record(low):
        shapes.append(low.shape)
        assert low.dtype == np.float32
        return np.repeat(low, 2, axis=1)

    resolver = super_resolver(record, 2, sample_rate_hz=1000)
    assert resolver.enhance(np.zeros((1001, 8)), 500).shape == (2002, 8)
    assert resolver.enhance(np.zeros(1001), 500).shape == (2002,)
    (output,) = resolver.stream(cut(np.zeros((1001, 8), "float32"), 10))
    assert output.shape == (2002, 8)
    assert shapes == [(8, 1001, 1), (1, 1001, 1), (8, 1001, 1)]


def test_each_channel_is_enhanced_as_if_alone():
    resolver, samples = toy_resolver(), noise(101, 8)
    together = whole(resolver, samples)
    for channel in range(8):
        alone = whole(resolver, samples[:, channel])
        np.testing.assert_allclose(together[:, channel], alone, rtol=0, atol=1e-6)


def test_long_signals_are_not_held_in_memory():
    blocks_taken = 0

    def blocks():
        nonlocal blocks_taken
        for _ in range(100):
            blocks_taken += 1
            yield np.zeros((50, 1), "float32")

    resolver = toy_resolver(2)
    for index, _ in enumerate(resolver.stream(blocks(), 100)):
        # Chunk i ends at low-rate sample 50 (i + 1), and its context of 8 is in the next block.
        assert blocks_taken == min(index + 2, 100)


@pytest.mark.parametrize("rate_hz", [2000, 2666, 1000.5, 3998])
def test_lower_rates_are_resampled_up_the_same_way_in_blocks(rate_hz):
    resolver, samples = toy_resolver(4), noise(2003, 2)
    assert resolver.low_rate_hz == 4000
    with pytest.warns(UserWarning, match=f"from {rate_hz:g} Hz to the 4000 Hz that toy takes"):
        expected = resolver.enhance(samples, rate_hz)
    assert abs(len(expected) - 4 * 2003 * 4000 / rate_hz) <= 4 and len(expected) % 4 == 0
    low = resolver.low_rate_blocks(cut(samples, 100, 1, 33), rate_hz)
    output = np.concatenate(list(resolver.stream(low, 1000)))
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)


def test_a_resampled_tone_keeps_its_frequency_and_place():
    tone = np.sin(2 * np.pi * 500 * np.arange(2000) / 4000)
    with pytest.warns(UserWarning, match="above 2000 Hz is missing"):
        output = super_resolver(ratio=2).enhance(tone, 4000)
    expected = np.sin(2 * np.pi * 500 * np.arange(4000) / 8000)
    np.testing.assert_allclose(output[400:-400:2], expected[200:-200], atol=1e-3)


def test_higher_rates_are_refused_unless_downsampling_is_asked_for():
    resolver, samples = toy_resolver(4), noise(4800)
    with pytest.raises(ValueError, match=r"48000 Hz, but toy turns 4000 Hz into 16000 Hz.*--downs"):
        resolver.enhance(samples, 48_000)
    with pytest.warns(UserWarning, match="Resampled down from 48000 Hz"):
        output = resolver.enhance(samples, 48_000, downsample=True)
    assert output.shape == (4 * 400,)
    low = resolver.low_rate_blocks(cut(samples[:, None], 77), 48_000, downsample=True)
    np.testing.assert_allclose(np.concatenate(list(resolver.stream(low, 99)))[:, 0], output)


@pytest.mark.parametrize("rate_hz", [2666, 2667, 16_000 / 6])
def test_headers_next_to_a_fractional_rate_are_taken_for_it(rate_hz):
    resolver, samples = toy_resolver(6), noise(101)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output = resolver.enhance(samples, rate_hz)
    np.testing.assert_array_equal(output, whole(resolver, samples))
    assert output.shape == (606,)


@pytest.mark.parametrize(
    "samples, rate_hz, message",
    [
        (np.zeros(0), 8000, "0 samples"),
        (np.zeros((0, 2)), 4000, "0 samples"),
        (np.array([0.0, np.nan]), 8000, "Sample 1 is NaN"),
        (np.array([0.0, 1.0, np.inf]), 4000, "Sample 2 is NaN or infinite"),
        (np.zeros(5, "int16"), 8000, "int16"),
        (np.zeros((2, 5, 1)), 8000, r"\(2, 5, 1\)"),
        (np.zeros((5, 0)), 8000, r"\(5, 0\)"),
        (np.float32(0), 8000, r"\(\)"),
        (np.zeros(5), 0, "sample rate is 0"),
        (np.zeros(5), np.nan, "sample rate is nan"),
    ],
)
@pytest.mark.filterwarnings("ignore:Resampled up")
def test_unusable_signals(samples, rate_hz, message):
    with pytest.raises(ValueError, match=message):
        toy_resolver().enhance(samples, rate_hz)


def test_unusable_streams():
    resolver = toy_resolver()
    for blocks, chunk_samples, message in [
        ([], 100, "0 samples"),
        ([noise(60, 1), np.full((5, 1), np.nan, "float32")], 8, "Sample 60 is NaN"),
        ([noise(60, 1)], 0, "chunk_samples is 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            list(resolver.stream(blocks, chunk_samples))


def test_models_and_grids_that_do_not_fit_the_ratio():
    with pytest.raises(ValueError, match=r"grid_samples is 4.*ratio 6"):
        toy_resolver(6, grid_samples=4)
    resolver = super_resolver(lambda low: low, 2, sample_rate_hz=1600, name="same")
    with pytest.raises(
        ValueError, match=r"same gave the shape \(1, 5, 1\) instead of \(1, 10, 1\)"
    ):
        resolver.enhance(np.zeros(5), 800)


def test_padded_calls_have_few_lengths_and_give_the_same():
    shapes = set()
    resolver, samples = toy_resolver(4), noise(341, 2)
    expected = chunked(resolver, samples, 100, 50)

    def call_padded(low, lengths):
        shapes.add(low.shape[1])
        assert lengths.dtype == np.int32 and lengths.shape == (2,) and len(set(lengths)) == 1
        assert not low[:, lengths[0] :].any()
        output = np.zeros((2, 4 * low.shape[1], 1), "float32")
        output[:, : 4 * lengths[0]] = resolver._call(low[:, : lengths[0]])
        return output

    resolver.call_padded, resolver.calls_at_once = call_padded, 3
    np.testing.assert_array_equal(chunked(resolver, samples, 100, 50), expected)
    chunked(resolver, samples[:3], 100, 50)
    full = max(shapes)
    assert shapes <= {full >> halvings for halvings in range(8)} and len(shapes) >= 2
    # What is computed as a whole is sent as it is.
    shapes.clear()
    whole(resolver, samples)
    assert not shapes
