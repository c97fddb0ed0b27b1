"""The augmentation of stems: each operation, and all of them, against a reference."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import signals

from tonezoo.recipes.data.stems import NONE, StemAugmentation

noise = partial(signals.noise, peak=0.5)


def rng(seed=0):
    return np.random.default_rng(seed)


def marked(batch=6, sources=3, samples=8, channels=2):
    """Crops whose every sample tells where it comes from: 1000 example + 100 source + time.

    The right channel has 0.5 more. Starts at 1000, so that a sign shows everywhere.
    """
    example, source, time, channel = np.ogrid[:batch, :sources, :samples, :channels]
    return (1000.0 * (example + 1) + 100 * source + time + 0.5 * channel).astype("float32")


def test_nothing_is_changed_without_augmentation():
    crops = noise(5, 3, 40, 2)
    result = NONE.apply(crops, rng())
    np.testing.assert_array_equal(result, crops)
    assert result.dtype == np.float32 and result is not crops


def test_the_input_is_left_alone():
    crops = marked()
    StemAugmentation(shift_samples=3, gain=True).apply(crops, rng())
    np.testing.assert_array_equal(crops, marked())


def test_flip_changes_the_sign_of_whole_sources():
    crops = marked(batch=100)
    ratio = replace(NONE, flip=True).apply(crops, rng()) / crops
    signs = ratio[:, :, :1, :1]
    np.testing.assert_array_equal(ratio, np.broadcast_to(signs, ratio.shape))
    assert set(signs.ravel()) == {-1.0, 1.0}
    # By itself for each source of an example.
    assert len(np.unique(signs[:, :, 0, 0], axis=0)) == 8


def test_swap_exchanges_left_and_right_of_whole_sources():
    crops = marked(batch=100)
    result = replace(NONE, swap=True).apply(crops, rng())
    swapped = result[:, :, 0, 0] == crops[:, :, 0, 1]
    expected = np.where(swapped[:, :, None, None], crops[..., ::-1], crops)
    np.testing.assert_array_equal(result, expected)
    assert len(np.unique(swapped, axis=0)) == 8


@pytest.mark.parametrize("channels", [1, 3])
def test_only_stereo_is_swapped(channels):
    crops = marked(channels=channels)
    np.testing.assert_array_equal(replace(NONE, swap=True).apply(crops, rng()), crops)


def test_shift_starts_every_source_up_to_so_many_samples_later():
    crops = marked(batch=200, sources=2, samples=8)
    result = replace(NONE, shift_samples=3).apply(crops, rng())
    assert result.shape == (200, 2, 5, 2)
    offsets = (result - crops[:, :, :5])[:, :, 0, 0]
    for offset in range(4):
        shifted = np.broadcast_to(offsets == offset, (5, 2, 200, 2)).transpose(2, 3, 0, 1)
        later = crops[:, :, offset : offset + 5]
        np.testing.assert_array_equal(result[shifted], later[shifted])
        # 400 draws of probability 1/4: five standard deviations are 0.11.
        assert 0.14 < np.mean(offsets == offset) < 0.36
    assert set(offsets.ravel()) == {0, 1, 2, 3}
    assert np.any(offsets[:, 0] != offsets[:, 1])


def test_gain_multiplies_whole_sources_by_a_number_of_its_range():
    crops = marked(batch=200)
    ratio = replace(NONE, gain=True).apply(crops, rng()) / crops
    gains = ratio[:, :, :1, :1]
    np.testing.assert_allclose(ratio, np.broadcast_to(gains, ratio.shape), rtol=1e-6)
    assert 0.25 <= gains.min() < 0.27 and 1.23 < gains.max() <= 1.25
    # Uniform: mean 0.75, of 600 draws good to 0.012.
    assert gains.mean() == pytest.approx(0.75, abs=0.06)
    assert len(np.unique(gains)) > 590
    narrow = replace(NONE, gain=True, least_gain=0.7, largest_gain=1.0).apply(crops, rng()) / crops
    assert 0.7 <= narrow.min() < 0.71 and 0.99 < narrow.max() <= 1.0


@pytest.mark.parametrize("gains", [(0.0, 1.0), (1.0, 0.5)])
def test_gains_out_of_order_are_refused(gains):
    with pytest.raises(ValueError, match=r"least gain must be above 0 and the largest not below"):
        StemAugmentation(least_gain=gains[0], largest_gain=gains[1])


@pytest.mark.parametrize(("batch", "group"), [(6, 2), (7, 4), (3, 8), (8, 8)])
def test_remix_permutes_every_source_by_itself_within_its_group(batch, group):
    crops = marked(batch=batch)
    sources = []
    for seed in range(60):
        result = replace(NONE, remix_group=group).apply(crops, rng(seed))
        # (batch, source): the example each source comes from, all of it.
        origin = (result[:, :, 0, 0] // 1000).astype(int) - 1
        source = np.arange(3)
        np.testing.assert_array_equal(result, crops[origin, source])
        sources.append(origin)
        for start in range(0, batch, group):
            rows = range(start, min(start + group, batch))
            for column in origin[start : start + group].T:
                assert sorted(column) == list(rows)
    sources = np.array(sources)
    # Every example of a group comes to each place, and the sources are not permuted together.
    for row in range(batch):
        start = row // group * group
        assert set(sources[:, row, 0]) == set(range(start, min(start + group, batch)))
    assert np.any(sources[:, :, 0] != sources[:, :, 1])


def test_silent_sources_are_filled_with_some_of_their_group_that_sound():
    crops = marked(batch=6, sources=2)
    crops[[0, 2, 3], 1] = 0.009  # of the track's standard deviation
    shares, fillings = [], set()
    for seed in range(60):
        result = replace(NONE, remix_group=6, fill_silence=0.5).apply(crops, rng(seed))
        plain = replace(NONE, remix_group=6).apply(crops, rng(seed))
        sounded, sounds = (np.abs(x[:, :, 0, 0]) > 1 for x in (plain, result))
        np.testing.assert_array_equal(result[sounded], plain[sounded])
        filled = sounds & ~sounded
        shares.append(filled.sum() / 3)
        fillings |= {*(result[filled][:, 0, 0] // 1000 - 1)}
    # 180 draws of probability 1/2: four standard deviations are 0.15.
    assert 0.35 < np.mean(shares) < 0.65
    assert fillings == {1, 4, 5}
    silence = np.zeros_like(crops)
    assert not replace(NONE, remix_group=6, fill_silence=1.0).apply(silence, rng()).any()
    with pytest.raises(ValueError, match=r"filling silence must be 0 to 1, but is 1.5"):
        StemAugmentation(fill_silence=1.5)


def reference(augmentation, crops, rng):
    """What `apply` states, sample by sample, from the same draws."""
    batch, sources, samples, channels = crops.shape
    samples -= augmentation.shift_samples
    each = (batch, sources)
    signs = rng.choice((-1.0, 1.0), each)
    swapped = rng.random(each) < 0.5
    offsets = rng.integers(augmentation.shift_samples + 1, size=each)
    gains = rng.uniform(0.25, 1.25, each)
    result = np.zeros((batch, sources, samples, channels))
    for start in range(0, batch, augmentation.remix_group):
        group = list(range(start, min(start + augmentation.remix_group, batch)))
        for source in range(sources):
            order = rng.permutation(len(group))
            for row in group:
                example = group[order[row - start]]
                for time in range(samples):
                    for channel in range(channels):
                        other = 1 - channel if swapped[example, source] else channel
                        value = crops[example, source, time + offsets[example, source], other]
                        gain = signs[example, source] * gains[example, source]
                        result[row, source, time, channel] = gain * value
    return result


def test_all_operations_together_are_those_of_a_naive_reference():
    crops = noise(7, 3, 20, 2)
    augmentation = StemAugmentation(shift_samples=6, gain=True, remix_group=3)
    result = augmentation.apply(crops, rng(5))
    np.testing.assert_allclose(result, reference(augmentation, crops, rng(5)), rtol=1e-6)


def test_flips_and_swaps_have_probability_one_half():
    crops = marked(batch=1000, samples=1)
    augmentation = StemAugmentation(shift_samples=0, remix_group=1)
    result = augmentation.apply(crops, rng())
    flipped = result[:, :, 0, 0] < 0
    swapped = np.abs(result[:, :, 0, 0]) == crops[:, :, 0, 1]
    # 3000 draws: five standard deviations are 0.046.
    assert np.mean(flipped) == pytest.approx(0.5, abs=0.046)
    assert np.mean(swapped) == pytest.approx(0.5, abs=0.046)
    assert np.mean(flipped & swapped) == pytest.approx(0.25, abs=0.046)


def test_sources_are_played_faster_and_slower_each_by_itself():
    augmentation = replace(NONE, max_speed_change=0.2, shift_samples=30)
    assert augmentation.source_samples(4000) == 4830
    tone = np.sin(2 * np.pi * 0.05 * np.arange(4830))[:, None]
    crops = np.broadcast_to(tone, (8, 2, 4830, 1)).astype("float32")
    result = augmentation.apply(crops, rng())
    assert result.shape == (8, 2, 4000, 1)
    # Away from the end, at which one that is played slower is cut, and one that is faster is not.
    spectra = np.abs(np.fft.rfft(result[:, :, 200:3800, 0] * np.hanning(3600), 36_000))
    speeds = spectra.argmax(axis=-1) / 36_000 / 0.05
    assert 0.8 <= speeds.min() < 0.87 and 1.13 < speeds.max() <= 1.2
    assert len(np.unique(speeds.round(3))) > 12
    np.testing.assert_allclose(np.abs(result[:, :, 200:3800]).max(axis=(2, 3)), 1, atol=0.02)


def test_equalisers_change_the_spectrum_smoothly_and_each_by_itself():
    crops = noise(4, 2, 20_000, 2)
    result = replace(NONE, equaliser_db=6.0).apply(crops, rng())
    gains_db = 20 * np.log10(np.abs(np.fft.rfft(result, axis=2) / np.fft.rfft(crops, axis=2)))
    np.testing.assert_allclose(gains_db[..., 0], gains_db[..., 1], atol=1e-3)
    assert np.abs(np.diff(gains_db[:, :, 100:-1, 0], axis=-1)).max() < 0.3
    octaves = gains_db[:, :, [40, 80, 160, 320, 640, 1280, 2560, 5120, 9999], 0]
    assert 3 < octaves.std() < 9
    assert np.abs(np.corrcoef(octaves.reshape(8, -1)) - np.eye(8)).max() < 0.95


@pytest.mark.parametrize(
    "options",
    [
        {"shift_samples": -1},
        {"remix_group": 0},
        {"max_speed_change": 1.0},
        {"max_speed_change": -0.1},
        {"equaliser_db": -1.0},
    ],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(
        ValueError, match=r"must be (0 samples or more and the remix|at least 0 and below 1 and)"
    ):
        StemAugmentation(**options)
