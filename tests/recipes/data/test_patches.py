import itertools
import os
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest
import signals
import soundfile
import tensorflow as tf

from tonezoo.audio.resampling import decimate
from tonezoo.recipes.data import cache as clip_cache
from tonezoo.recipes.data.patches import PatchSource, prepare, prepare_arrays

RATE = {"sample_rate_hz": 16_000, "ratio": 4}
OPTIONS = {"segment_samples": 80, "batch_size": 5, "seed": 3}


noise = partial(signals.noise, peak=0.9)


def numbered(*lengths, ratio=4):
    """A source whose samples tell their place: clip + position / 1024 at the low rate."""
    low = np.concatenate([clip + np.arange(n) / 1024 for clip, n in enumerate(lengths, 1)])
    return PatchSource(
        np.repeat(low, ratio).astype("float32"),
        low.astype("float32"),
        lengths,
        sample_rate_hz=16_000,
        ratio=ratio,
    )


def take(source, count, **options):
    dataset = source.batches(**{**OPTIONS, **options})
    return [tuple(part.numpy() for part in batch) for batch in itertools.islice(dataset, count)]


def assert_same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


@pytest.fixture
def wavs(tmp_path):
    folder = tmp_path / "audio"
    folder.mkdir()
    for index, length in enumerate((900, 500, 700)):
        soundfile.write(folder / f"{index}.wav", noise(length, seed=index), 16_000, subtype="FLOAT")
    (folder / "1_bad.wav").write_text("not audio")
    return sorted(folder.iterdir())


def test_batches_started_at_step_7_go_on_as_those_started_at_0():
    source = prepare_arrays([noise(3000), noise(2000, seed=1)], **RATE)
    whole = take(source, 10)
    assert_same(whole[7:], take(source, 3, start_step=7))
    assert_same(whole, take(source, 10))
    assert not np.array_equal(whole[0][0], whole[1][0])
    assert not np.array_equal(whole[0][0], take(source, 1, seed=4)[0][0])


def test_shapes_are_static_and_the_dataset_is_endless():
    dataset = prepare_arrays([noise(400)], **RATE).batches(**OPTIONS)
    low, high = dataset.element_spec
    assert (low.shape, high.shape) == ((5, 20, 1), (5, 80, 1))
    assert (low.dtype, high.dtype) == (tf.float32, tf.float32)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY


def test_low_and_high_patches_are_cut_at_the_same_place():
    """Each low patch is a slice of the decimated clip, its high patch the one 4 times further."""
    clips = [noise(403), noise(290, seed=1)]
    source = prepare_arrays(clips, **RATE)
    places = {
        decimate(clip, 4)[n : n + 20].tobytes(): clip[4 * n : 4 * n + 80]
        for clip in clips
        for n in range(len(clip) // 4 - 19)
    }
    for low, high in take(source, 8):
        for row in range(len(low)):
            np.testing.assert_array_equal(high[row, :, 0], places[low[row, :, 0].tobytes()])


def test_every_start_that_leaves_room_is_equally_likely():
    """Clips of 25, 20 and 40 low-rate samples hold 6, 1 and 21 patches of 20."""
    starts = np.concatenate(
        [low[:, 0, 0] for low, _ in take(numbered(25, 20, 40), 100, batch_size=112)]
    )
    found, counts = np.unique(starts, return_counts=True)
    expected = [clip + n / 1024 for clip, held in ((1, 6), (2, 1), (3, 21)) for n in range(held)]
    np.testing.assert_array_equal(found, np.float32(expected))
    # 11200 draws, 400 expected a start; 100 is 5 standard deviations.
    assert np.all(np.abs(counts - 400) < 100)


def test_a_clip_shorter_than_a_patch_is_padded_with_zeros_at_its_end():
    low, high = take(numbered(8), 1)[0]
    np.testing.assert_array_equal(low[0, :8, 0], 1 + np.arange(8, dtype="float32") / 1024)
    np.testing.assert_array_equal(high[0, :32, 0], np.repeat(low[0, :8, 0], 4))
    assert not low[:, 8:].any()
    assert not high[:, 32:].any()


def test_patch_count_covers_every_clip():
    # 100, 80 and 40 high-rate samples: 2 + 1 + 1 patches of 80.
    assert numbered(25, 20, 10).patch_count(80) == 4
    assert numbered(25, 20, 10).patch_count(100) == 3


@pytest.mark.parametrize("segment_samples", [82, 0, -80])
def test_segments_that_the_ratio_does_not_divide(segment_samples):
    message = rf"segment_samples={segment_samples} .*ratio 4\. The nearest is (80|4)\."
    source = numbered(25)
    with pytest.raises(ValueError, match=message):
        source.batches(segment_samples=segment_samples, batch_size=1, seed=0)
    with pytest.raises(ValueError, match=message):
        source.patch_count(segment_samples)


def test_arrays_by_name_and_in_a_list_give_the_same_source():
    clips = [noise(403), noise(290, seed=1)]
    listed, named = (
        prepare_arrays(clips, **RATE),
        prepare_arrays(dict(a=clips[0], b=clips[1]), **RATE),
    )
    np.testing.assert_array_equal(listed.high, named.high)
    np.testing.assert_array_equal(listed.low, named.low)
    assert named.lengths.tolist() == [100, 72]
    with pytest.raises(ValueError, match="No clips were given"):
        prepare_arrays({}, **RATE)


def test_prepared_files_are_those_of_prepared_arrays_and_bad_ones_are_reported(wavs):
    lines = []
    source = prepare(wavs, **RATE, report=lines.append)
    expected = prepare_arrays([noise(n, seed=i) for i, n in enumerate((900, 500, 700))], **RATE)
    np.testing.assert_array_equal(source.high, expected.high)
    np.testing.assert_array_equal(source.low, expected.low)
    assert len(lines) == 1
    assert "1_bad.wav" in lines[0]


def cached(wavs, cache_dir, monkeypatch, **options):
    """Prepares with a cache; returns the source, what was reported and whether it was decoded."""
    decoded, lines = [], []
    decode = clip_cache.decode_clips

    def spy(*arguments, **keywords):
        decoded.append(True)
        return decode(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(clip_cache, "decode_clips", spy)
        keywords = {**RATE, **options, "cache_dir": cache_dir, "report": lines.append}
        source = prepare(wavs, **keywords)
    return source, lines, bool(decoded)


def test_the_cache_gives_what_memory_gives_and_is_used_again(wavs, tmp_path, monkeypatch):
    expected = take(prepare(wavs, **RATE, report=list), 3)
    first, lines, decoded = cached(wavs, tmp_path / "new" / "cache", monkeypatch)
    assert decoded
    assert_same(take(first, 3), expected)
    again, lines_again, decoded = cached(wavs, tmp_path / "new" / "cache", monkeypatch)
    assert not decoded
    assert_same(take(again, 3), expected)
    assert isinstance(again.high, np.memmap)
    assert lines == lines_again
    assert len(lines) == 1


def test_the_cache_is_not_used_for_other_files_rates_or_ratios(wavs, tmp_path, monkeypatch):
    cached(wavs, tmp_path, monkeypatch)
    for options in ({"ratio": 2}, {"sample_rate_hz": 8_000}):
        source, _, decoded = cached(wavs, tmp_path, monkeypatch, **options)
        assert decoded
        assert len(source.high) == source.ratio * len(source.low)
    assert cached(wavs[:-1], tmp_path, monkeypatch)[2]
    soundfile.write(wavs[0], noise(900, seed=9), 16_000, subtype="FLOAT")
    os.utime(wavs[0], ns=(0, 1))
    source, _, decoded = cached(wavs, tmp_path, monkeypatch)
    assert decoded
    np.testing.assert_array_equal(source.high[:900], noise(900, seed=9))


def test_at_a_ratio_of_one_the_signals_are_kept_once(wavs, tmp_path, monkeypatch):
    source, _, decoded = cached(wavs, tmp_path, monkeypatch, ratio=1)
    assert decoded and [path.name for path in tmp_path.rglob("*.f32")] == ["high.f32"]
    assert source.low is source.high
    np.testing.assert_array_equal(source.high, prepare(wavs, **RATE | {"ratio": 1}).high)
    assert not cached(wavs, tmp_path, monkeypatch, ratio=1)[2]
    low, high = take(source, 1)[0]
    np.testing.assert_array_equal(low, high)


@pytest.mark.parametrize("damage", ["cut", "no index", "bad index"])
def test_a_damaged_cache_is_made_anew(wavs, tmp_path, monkeypatch, damage):
    expected = np.array(cached(wavs, tmp_path / "cache", monkeypatch)[0].high)
    (folder,) = (tmp_path / "cache").iterdir()
    if damage == "cut":
        os.truncate(folder / "high.f32", 100)
    elif damage == "no index":
        (folder / "index.json").unlink()
    else:
        (folder / "index.json").write_text('{"lengths": [1')
    source, _, decoded = cached(wavs, tmp_path / "cache", monkeypatch)
    assert decoded
    np.testing.assert_array_equal(source.high, expected)


def test_a_cache_that_was_being_written_when_the_run_died_is_ignored(wavs, tmp_path, monkeypatch):
    """What a killed run leaves is a folder of another name; an exception leaves nothing."""
    (tmp_path / ".tonezoo-abc" / "clips-0").mkdir(parents=True)

    def interrupted(*_, **__):
        yield np.zeros(8, "float32"), np.zeros(2, "float32")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(clip_cache, "decode_clips", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(wavs, **RATE, cache_dir=tmp_path, report=list)
    assert not list(tmp_path.glob("clips-*"))
    assert cached(wavs, tmp_path, monkeypatch)[2]


TWO_RUNS = """
import pathlib, sys, time
import numpy as np
from tonezoo.recipes.data import cache

def decode(paths, **options):
    meeting = pathlib.Path(sys.argv[1])
    (meeting / sys.argv[2]).touch()
    while len(list(meeting.iterdir())) < 2:  # each decodes while the other does
        time.sleep(0.01)
    for value in range(3):
        yield np.full(8, value, "float32"), np.full(2, value, "float32")

cache.decode_clips = decode
high, low, lengths = cache.cached_clips(
    sys.argv[3], [pathlib.Path("a.wav")], sample_rate_hz=16_000, ratio=4, report=print)
print(high.sum(), low.sum(), lengths)
"""


def test_two_runs_at_once_share_a_cache(tmp_path):
    (tmp_path / "meeting").mkdir()
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", TWO_RUNS, tmp_path / "meeting", name, tmp_path / "cache"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("one", "two")
    ]
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert outputs == 2 * ["24.0 6.0 [2, 2, 2]\n"]
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_cache_folder_that_cannot_be_written_is_a_readable_error(wavs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"Cannot write to .*clips-"):
        prepare(wavs, **RATE, cache_dir=tmp_path / "file", report=list)


def test_all_files_bad_leaves_no_cache(wavs, tmp_path):
    bad = [path for path in wavs if "bad" in path.name]
    with pytest.raises(ValueError, match="None of the 1 audio files"):
        prepare(bad, **RATE, cache_dir=tmp_path / "cache", report=list)
    assert not list((tmp_path / "cache").iterdir())


def test_replicas_share_out_each_batch_in_fit(two_replicas):
    """With a learning rate of 0 the loss of a step is that of nearest neighbours on its batch."""
    source = prepare_arrays([noise(3000)], **RATE)
    with two_replicas.scope():
        network = keras.Sequential(
            [
                keras.Input((20, 1)),
                keras.layers.UpSampling1D(4),
                keras.layers.Conv1D(1, 1, kernel_initializer="ones"),
            ]
        )
        network.compile(loss="mse", optimizer=keras.optimizers.SGD(0.0))
    options = {**OPTIONS, "batch_size": 4}
    history = network.fit(
        source.batches(**options, start_step=5),
        steps_per_epoch=2,
        epochs=2,
        shuffle=False,
        verbose=0,
    )
    expected = [
        np.mean((np.repeat(low, 4, axis=1) - high) ** 2)
        for low, high in take(source, 9, batch_size=4)[5:]
    ]
    np.testing.assert_allclose(
        history.history["loss"],
        [np.mean(expected[:2]), np.mean(expected[2:])],
        rtol=1e-5,
    )
