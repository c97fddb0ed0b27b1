"""Batches of mixtures and their sources, of tracks from arrays and from files.

Datasets are endless: they are cut by `take`, as an iterator that is alive at the interpreter's exit
would wait for its thread.
"""

import os
import re
from functools import partial

import numpy as np
import pytest
import signals

from tonezoo.recipes.data import stems
from tonezoo.recipes.data.stems import (
    NONE,
    ArrayTrack,
    FileTrack,
    StemAugmentation,
    StemSource,
    arrays_source,
    tracks_source,
)
from tonezoo.recipes.data.tracks import plays_in_place

SOURCES = ("drums", "bass", "vocals")
RATE_HZ = 8000


noise = partial(signals.noise, peak=0.5)


def write_track(folder, tracks, rate_hz=RATE_HZ, suffix=".wav", subtype="FLOAT"):
    """Writes the sources of a track, (source, time, channels)."""
    return [
        signals.write_audio(folder / f"{source}{suffix}", samples, rate_hz, subtype=subtype)
        for source, samples in zip(SOURCES, tracks, strict=False)
    ]


@pytest.mark.parametrize(("suffix", "subtype"), [(".wav", "FLOAT"), (".flac", "PCM_24")])
@pytest.mark.parametrize("channels", [1, 2])
def test_tracks_in_files_and_in_memory_are_the_same(tmp_path, suffix, subtype, channels):
    # Longer than a block of the reader, with a mean, in steps of 24 bits.
    x = np.round((noise(3, 70_001, channels).astype("float64") + 0.1) * 2**22) / 2**23
    memory = ArrayTrack(x.astype("float32"))
    files = FileTrack(write_track(tmp_path, x, suffix=suffix, subtype=subtype), channels)
    mono = x.sum(axis=0).mean(axis=1)
    for track in (memory, files):
        assert track.samples == 70_001
        assert track.level.mean == pytest.approx(mono.mean(), rel=1e-9)
        assert track.level.std == pytest.approx(mono.std(), rel=1e-9)
    for start, samples in ((0, 5), (65_530, 12), (69_999, 100), (70_001, 3), (0, 70_001)):
        expected = x[:, start : start + samples].astype("float32")
        np.testing.assert_array_equal(memory.read(start, samples), expected)
        np.testing.assert_array_equal(files.read(start, samples), expected)
        assert files.read(start, samples).dtype == np.float32


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_statistics_and_crops_read_the_same_of_files_whose_sizes_were_never_filled_in(
    tmp_path, subtype
):
    x = np.round(noise(2, 5000, 1) * 2**15) / 2**15
    files = write_track(tmp_path, x, subtype=subtype)
    for path in files:
        content = bytearray(path.read_bytes())
        start = content.index(b"data") + 4
        content[4:8] = content[start : start + 4] = bytes(4)
        path.write_bytes(content)
    assert plays_in_place(tmp_path, SOURCES[:2], RATE_HZ)
    track, expected = FileTrack(files, 1), ArrayTrack(x.astype("float32"))
    assert (track.samples, track.level.std) == (5000, pytest.approx(expected.level.std, rel=1e-6))
    np.testing.assert_array_equal(track.read(4990, 100), expected.read(4990, 100))


def test_a_file_that_is_cut_after_training_began_is_named(tmp_path):
    files = write_track(tmp_path, noise(2, 5000, 1), suffix=".flac", subtype="PCM_16")
    track = FileTrack(files, 1)
    os.truncate(files[1], files[1].stat().st_size // 2)
    with pytest.raises(ValueError, match=re.escape(str(files[1])) + " is truncated"):
        track.read(4000, 500)


def test_tracks_in_files_are_fitted_to_the_channels(tmp_path):
    x = noise(2, 300, 2)
    files = write_track(tmp_path, [x[0], x[1, :, :1]])
    stereo, mono = FileTrack(files, 2), FileTrack(files, 1)
    np.testing.assert_array_equal(stereo.read(7, 9)[1], np.repeat(x[1, 7:16, :1], 2, axis=1))
    np.testing.assert_allclose(mono.read(7, 9)[0], x[0, 7:16].mean(axis=1)[:, None], atol=1e-7)
    assert stereo.level.std == pytest.approx((x[0].mean(axis=1) + x[1, :, 0]).std(), rel=1e-6)
    assert mono.level.std == pytest.approx(stereo.level.std, rel=1e-6)


def source_of(*tracks):
    """A source of tracks (source, time, channels)."""
    return arrays_source(
        {f"track {number}": dict(zip(SOURCES, x, strict=False)) for number, x in enumerate(tracks)},
        sources=SOURCES[: len(tracks[0])],
        sample_rate_hz=RATE_HZ,
    )


def drawn(source, steps=1, **options):
    """The first batches, as lists of mixtures and of targets."""
    defaults = {"segment_samples": 40, "target_samples": 40, "batch_size": 4, "seed": 0}
    dataset = source.batches(**{"augmentation": NONE, **defaults, **options})
    batches = list(dataset.take(steps).as_numpy_iterator())
    return [list(parts) for parts in zip(*batches, strict=True)]


def test_batches_have_the_shapes_stated():
    source = source_of(noise(3, 500, 2), noise(3, 90, 2))
    dataset = source.batches(
        segment_samples=40, target_samples=30, batch_size=5, seed=0, augmentation=NONE
    )
    mixture, targets = dataset.element_spec
    assert tuple(mixture.shape) == (5, 40, 2) and tuple(targets.shape) == (5, 30, 3, 2)
    assert mixture.dtype == targets.dtype == "float32"
    (mixtures,), (targets,) = drawn(source, target_samples=30, batch_size=5)
    assert mixtures.shape == (5, 40, 2) and targets.shape == (5, 30, 3, 2)


AUGMENTED = StemAugmentation(shift_samples=20, gain=True, remix_group=2)


@pytest.mark.parametrize("augmentation", [NONE, AUGMENTED])
def test_batches_depend_on_seed_and_step_alone(augmentation):
    source = source_of(noise(3, 500, 2), noise(3, 90, 2, seed=1))
    options = {"augmentation": augmentation}
    first = drawn(source, 6, **options)
    again = drawn(source, 6, **options)
    later = drawn(source, 2, start_step=4, **options)
    other = drawn(source, 6, seed=1, **options)
    for kind in range(2):
        np.testing.assert_array_equal(first[kind], again[kind])
        np.testing.assert_array_equal(first[kind][4:], later[kind])
        for step in range(6):
            assert not np.array_equal(first[kind][step], other[kind][step])
        assert not np.array_equal(first[kind][0], first[kind][1])


@pytest.mark.parametrize("augmentation", [NONE, AUGMENTED])
@pytest.mark.parametrize(("segment", "target"), [(40, 40), (40, 30), (41, 30), (40, 1)])
def test_targets_are_the_middle_and_sum_to_the_mixtures(augmentation, segment, target):
    source = source_of(noise(3, 500, 2), noise(3, 90, 2, seed=1))
    options = {"segment_samples": segment, "augmentation": augmentation}
    mixtures, targets = drawn(source, 3, target_samples=target, **options)
    _, whole = drawn(source, 3, target_samples=segment, **options)
    # As the network crops: the odd sample is cut at the end.
    middle = slice((segment - target) // 2, (segment - target) // 2 + target)
    for mixture, sources, full in zip(mixtures, targets, whole, strict=True):
        np.testing.assert_array_equal(sources, full[:, middle])
        # (batch, time, source, channel)
        np.testing.assert_allclose(sources.sum(axis=2), mixture[:, middle], rtol=0, atol=1e-5)


def test_tracks_are_normalised_by_their_whole_mono_mix_and_crops_are_theirs():
    """By hand: x = (1, -1, 1, -1 ...) left and 3 x right, beside silence, has a mono mix of 2 x."""
    x = np.tile([1.0, -1.0], 200)
    loud = np.zeros((2, 400, 2))
    loud[0] = np.stack([x, 3 * x], axis=1)
    (mixtures,), (targets,) = drawn(source_of(loud, 0.01 * loud), batch_size=32)
    assert set(np.unique(np.abs(mixtures[..., 0]))) == {0.5}
    assert set(np.unique(np.abs(mixtures[..., 1]))) == {1.5}
    np.testing.assert_array_equal(targets[:, :, 0], mixtures)
    assert not targets[:, :, 1].any()


def test_the_mean_is_taken_off_every_source():
    x = noise(2, 300, 2) + np.float32(0.2)
    mono = x.astype("float64").sum(axis=0).mean(axis=1)
    (mixtures,), (targets,) = drawn(source_of(x), segment_samples=300, target_samples=300)
    expected = (x - mono.mean()) / mono.std()
    for target, mixture in zip(targets, mixtures, strict=True):
        np.testing.assert_allclose(target.swapaxes(0, 1), expected, rtol=0, atol=1e-5)
        np.testing.assert_allclose(mixture, expected.sum(axis=0), rtol=0, atol=1e-5)


def test_crops_start_anywhere_in_any_track_all_positions_equally_likely():
    """Ramps, whose slope and values tell the track and the position."""
    ramps = [np.arange(n, dtype="float64")[None, :, None] for n in (13, 4, 22)]
    source = source_of(*ramps)
    (mixtures,), _ = drawn(source, segment_samples=10, target_samples=10, batch_size=6000)
    counts = {}
    for crop in mixtures[:, :, 0]:
        slope = crop[1] - crop[0]
        number = int(np.argmin([abs(slope - 1 / t.level.std) for t in source.tracks]))
        position = round(
            float(crop[0] * source.tracks[number].level.std + source.tracks[number].level.mean)
        )
        counts[number, position] = counts.get((number, position), 0) + 1
    expected = {*((0, p) for p in range(4)), (1, 0), *((2, p) for p in range(13))}
    assert set(counts) == expected
    # 18 positions, 333 draws each, give or take 18: five standard deviations.
    assert all(abs(count - 333) < 90 for count in counts.values())


def test_short_tracks_are_silent_to_the_end_of_a_crop():
    x = noise(2, 25, 2)
    x -= x.mean()
    source = source_of(x)
    (mixtures,), (targets,) = drawn(source)
    std = source.tracks[0].level.std
    for mixture, target in zip(mixtures, targets, strict=True):
        assert not mixture[25:].any() and not target[25:].any()
        np.testing.assert_allclose(mixture[:25], x.sum(axis=0) / std, rtol=0, atol=1e-4)


@pytest.mark.parametrize("augmentation", [NONE, AUGMENTED])
def test_silent_tracks_give_zeros(augmentation):
    (mixtures,), (targets,) = drawn(source_of(np.zeros((3, 500, 2))), augmentation=augmentation)
    assert not mixtures.any() and not targets.any()


@pytest.mark.parametrize("rounding", [0.0, 1e-9])
def test_sources_that_cancel_each_other_out_are_taken_as_they_are(rounding):
    x = noise(1, 500, 2)
    noisy = np.concatenate([x, -x]) + rounding * np.random.default_rng(0).standard_normal(
        (2, 500, 2)
    )
    _, (targets,) = drawn(source_of(noisy), batch_size=16)
    assert 0.4 < np.abs(targets).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("rounding", [0.0, 1e-9])
def test_channels_that_cancel_each_other_out_have_the_level_that_separation_gives_them(rounding):
    x = noise(1, 500, 2)
    left_and_right = np.concatenate([x[..., :1], -x[..., :1]], axis=2)
    track = np.concatenate([left_and_right, 0 * x])
    source = source_of(track + rounding * np.random.default_rng(0).standard_normal(track.shape))
    deviation = np.sqrt((left_and_right**2).mean())
    assert source.tracks[0].level.std == pytest.approx(deviation, rel=1e-6)


def test_crops_are_counted():
    tracks = [np.zeros((1, samples, 1)) for samples in (10, 14, 15, 3)]
    source = source_of(*tracks)
    # Crops of 10: 1, 1 + 4 // 5, 1 + 5 // 5, and 1 of the short track.
    assert source.crop_count(10, 5) == 1 + 1 + 2 + 1
    assert source.crop_count(10, 1) == 1 + 5 + 6 + 1
    assert source.crop_count(100, 1) == 4


def test_summary_and_fingerprint_tell_the_tracks_apart():
    x = noise(2, 4800, 2)
    source = source_of(x, x)
    # 9600 samples of 8 kHz are 1.2 s.
    assert source.summary == "2 tracks, 0.0 min of audio"
    longer = StemSource(50 * source.tracks, sample_rate_hz=RATE_HZ)
    assert longer.summary == "100 tracks, 1.0 min of audio"
    assert source.fingerprint == source_of(x.copy(), x).fingerprint
    for other in ((x,), (x, 1.01 * x), (x, x[:, 1:])):
        assert source_of(*other).fingerprint != source.fingerprint


@pytest.fixture
def folders(tmp_path):
    """Three tracks: of WAV at the rate, of FLAC at the rate, of WAV at another rate."""
    write_track(tmp_path / "a", noise(3, 900, 2, seed=1))
    write_track(tmp_path / "b", noise(3, 700, 2, seed=2), suffix=".flac", subtype="PCM_24")
    write_track(tmp_path / "c", noise(3, 1600, 2, seed=3), rate_hz=2 * RATE_HZ)
    return [tmp_path / name for name in "abc"]


def from_files(paths, **options):
    lines = []
    defaults = {"sources": SOURCES, "sample_rate_hz": RATE_HZ, "channels": 2}
    return tracks_source(paths, **{**defaults, "report": lines.append, **options}), lines


def test_files_at_the_rate_are_read_where_they_lie_and_others_are_decoded(folders):
    source, lines = from_files(folders)
    assert [type(track) for track in source.tracks] == [FileTrack, FileTrack, ArrayTrack]
    assert [track.samples for track in source.tracks] == [900, 700, 800]
    assert lines == [] and source.sample_rate_hz == RATE_HZ
    mono, _ = from_files(folders, channels=1)
    assert [track.read(0, 5).shape for track in mono.tracks] == 3 * [(3, 5, 1)]


def test_tracks_in_files_give_the_batches_of_those_in_memory(folders):
    source, _ = from_files(folders)
    tracks = [track.read(0, track.samples) for track in source.tracks]
    options = {"steps": 3, "augmentation": AUGMENTED}
    for files, arrays in zip(
        drawn(source, **options), drawn(source_of(*tracks), **options), strict=True
    ):
        np.testing.assert_allclose(files, arrays, rtol=0, atol=1e-6)


def test_tracks_that_cannot_be_used_are_skipped_and_told(folders, tmp_path):
    (folders[0] / "bass.wav").unlink()
    path = folders[2] / "drums.wav"
    path.write_bytes(path.read_bytes()[:2000])
    write_track(tmp_path / "d", noise(3, 100, 5))
    source, lines = from_files([*folders, tmp_path / "d"])
    assert [track.samples for track in source.tracks] == [700]
    assert len(lines) == 3 and all(line.startswith("Skipped: ") for line in lines)
    assert f"{folders[0]} lacks bass" in lines[0]
    assert f"{path} is truncated" in lines[1]
    assert f"{tmp_path / 'd'} has 5 channels" in lines[2]
    # Damaged files at the model's rate, too.
    flac = folders[1] / "drums.flac"
    flac.write_bytes(flac.read_bytes()[:1500])
    with pytest.raises(ValueError, match=r"None of the 4 tracks can be used\. Skipped: .*lacks"):
        from_files([*folders, tmp_path / "d"])
    with pytest.raises(ValueError, match=r"None of the 1 tracks can be used\. .*drums\.flac"):
        from_files(folders[1:2])


def test_decoded_tracks_are_kept_for_later_runs(folders, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    source, _ = from_files(folders, cache_dir=cache)
    plain, _ = from_files(folders)
    (file,) = cache.iterdir()
    assert file.suffix == ".npy" and isinstance(source.tracks[2].stems, np.memmap)
    np.testing.assert_array_equal(source.tracks[2].read(0, 800), plain.tracks[2].read(0, 800))
    assert source.fingerprint == plain.fingerprint

    def refuse(track, **options):
        raise AssertionError(f"{track} is read again")

    with monkeypatch.context() as patch:
        patch.setattr(stems, "read_track", refuse)
        again, _ = from_files(folders, cache_dir=cache)
        assert again.fingerprint == source.fingerprint
        for kind in range(2):
            np.testing.assert_array_equal(drawn(again)[kind], drawn(source)[kind])
        # Whatever changes the result is decoded anew.
        for options in ({"channels": 1}, {"sources": SOURCES[:2]}, {"sample_rate_hz": 6000}):
            with pytest.raises(AssertionError, match="read again"):
                from_files(folders[2:], cache_dir=cache, **options)
        os.utime(folders[2] / "bass.wav", ns=(1, 1))
        with pytest.raises(AssertionError, match="read again"):
            from_files(folders, cache_dir=cache)


def test_a_track_that_cannot_be_decoded_leaves_nothing_in_the_cache(folders, tmp_path):
    (folders[2] / "drums.wav").write_text("text")
    from_files(folders, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
