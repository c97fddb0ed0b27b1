import shutil
import sys

import numpy as np
import pytest
import signals
import soundfile

from tonezoo.audio.reader import read_audio
from tonezoo.audio.resampling import decimate, resample_sharply
from tonezoo.recipes.data import decoding
from tonezoo.recipes.data.decoding import decode_clips, high_and_low

FORMATS = {
    "pcm16.wav": {"subtype": "PCM_16"},
    "float.wav": {"subtype": "FLOAT"},
    "pcm16.flac": {"subtype": "PCM_16"},
    "pcm24.flac": {"subtype": "PCM_24"},
    "pcm8.flac": {"subtype": "PCM_S8"},
    "vorbis.ogg": {"subtype": "VORBIS"},
    "opus.ogg": {"subtype": "OPUS"},
    "layer3.mp3": {"subtype": "MPEG_LAYER_III"},
}


def noise(length, channels=1, seed=0):
    return signals.noise(length, channels, seed=seed, peak=0.9)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file of 48 kHz stereo noise in each format."""
    folder = tmp_path_factory.mktemp("formats")
    for name, options in FORMATS.items():
        soundfile.write(folder / name, noise(6000, 2), 48_000, **options)
    return [folder / name for name in FORMATS]


@pytest.fixture
def tensorflow_io():
    module = decoding._tensorflow_io()
    if module is None:
        pytest.skip("tensorflow-io is not installed, or does not load with this TensorFlow")
    return module


@pytest.fixture
def graph_only(tensorflow_io, monkeypatch):
    """Makes soundfile's path raise, so that what comes out was decoded inside the graph."""

    def refuse(path):
        raise ValueError(f"{path} was left to soundfile.")

    monkeypatch.setattr("tonezoo.audio.reader.read_audio", refuse)


def decode(paths, report=print):
    return list(decode_clips(paths, sample_rate_hz=16_000, ratio=4, report=report))


def test_every_format_agrees_with_soundfile_and_keeps_its_place(files):
    """Wherever it was decoded: 1e-6 covers what tensorflow-io's Vorbis adds (4e-7)."""
    pairs = decode(files)
    assert len(pairs) == len(files)
    for path, (high, low) in zip(files, pairs, strict=True):
        expected = resample_sharply(read_audio(path)[0].mean(axis=1), 48_000, 16_000)
        length = len(expected) // 4
        np.testing.assert_allclose(high, expected[: 4 * length], atol=1e-6, err_msg=path.name)
        np.testing.assert_allclose(low, decimate(expected, 4)[:length], atol=1e-6)
        assert (high.dtype, low.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("name", ["pcm16.flac", "pcm24.flac", "vorbis.ogg"])
@pytest.mark.parametrize("channels", [1, 6])
def test_tensorflow_io_decodes_to_the_samples_of_soundfile(tensorflow_io, tmp_path, name, channels):
    path = tmp_path / name
    soundfile.write(path, noise(5000, channels), 16_000, **FORMATS[name])
    decoder, from_hz, frames = decoding._header(str(path).encode())
    samples = decoding._decode_in_graph(tensorflow_io, str(path), decoder, np.int64(frames)).numpy()
    assert (from_hz, frames, samples.dtype) == (16_000, 5000, np.float32)
    tolerance = 1e-6 if name == "vorbis.ogg" else 0.0
    np.testing.assert_allclose(samples, soundfile.read(path, always_2d=True)[0], atol=tolerance)


def test_only_formats_that_agree_are_decoded_in_the_graph(graph_only, files):
    lines = []
    assert len(decode(files, lines.append)) == 3
    left = {name for name in FORMATS if any(f"{name} was left" in line for line in lines)}
    assert left == {*FORMATS} - {"pcm16.flac", "pcm24.flac", "vorbis.ogg"}


def test_a_file_that_the_graph_leaves_incomplete_is_read_by_soundfile_in_its_place(
    tensorflow_io, tmp_path, monkeypatch
):
    """Headers that promise one sample more than there are stand for files that were cut."""
    header, read = decoding._header, []

    def promise(path):
        decoder, from_hz, frames = header(path)
        return decoder, from_hz, frames + (b"odd" in path)

    monkeypatch.setattr(decoding, "_header", promise)
    monkeypatch.setattr(
        "tonezoo.audio.reader.read_audio", lambda path: read.append(path) or read_audio(path)
    )
    names = ["odd1.flac", "a.flac", "odd2.flac", "odd3.flac", "b.flac", "odd4.flac"]
    for index, name in enumerate(names):
        soundfile.write(tmp_path / name, noise(400, seed=index), 16_000)
    pairs = decode([tmp_path / name for name in names])
    assert sorted(read) == [str(tmp_path / f"odd{index}.flac") for index in (1, 2, 3, 4)]
    assert len(pairs) == 6
    for index, (high, _) in enumerate(pairs):
        np.testing.assert_allclose(high, noise(400, seed=index)[:, 0], atol=1e-4)


def test_44_khz_stereo_becomes_16_khz_mono():
    left, right = noise(44_100).T, noise(44_100, seed=1).T
    stereo = np.stack([left[0], right[0]], axis=1)
    high, low = high_and_low(stereo, 44_100, 16_000, 4)
    assert (high.shape, low.shape) == ((16_000,), (4_000,))
    expected = resample_sharply((left[0] + right[0]) / 2, 44_100, 16_000)
    np.testing.assert_allclose(high, expected, atol=1e-6)


@pytest.mark.parametrize(("length", "ratio", "kept"), [(103, 4, 100), (28, 6, 24), (31, 2, 30)])
def test_the_high_rate_signal_is_as_long_as_the_low_rate_one_accounts_for(length, ratio, kept):
    signal = noise(length)[:, 0]
    high, low = high_and_low(signal, 16_000, 16_000, ratio)
    np.testing.assert_array_equal(high, signal[:kept])
    np.testing.assert_array_equal(low, decimate(signal, ratio)[: kept // ratio])


def bad_files(folder, good):
    """Files that cannot be used, by what is said of each."""
    whole = good.read_bytes()
    contents = {"empty": b"", "text": b"not audio\n" * 20, "truncated": whole[: len(whole) // 2]}
    for name, content in contents.items():
        (folder / f"{name}.wav").write_bytes(content)
    for name in ("cut.flac", "cut.ogg"):
        soundfile.write(folder / name, noise(30_000), 16_000)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1000])
    soundfile.write(folder / "nan.wav", np.full(100, np.nan), 16_000, subtype="FLOAT")
    soundfile.write(folder / "short.wav", noise(27), 16_000)
    return {
        "empty.wav": "empty",
        "text.wav": "not readable as audio",
        "truncated.wav": "truncated",
        "cut.flac": "truncated",
        "cut.ogg": "truncated",
        "nan.wav": "nan",
        "short.wav": "27 samples",
        "missing.wav": "No such file",
    }


def test_files_that_cannot_be_used_are_skipped_and_reported_in_order(tmp_path):
    for index in range(2):
        soundfile.write(tmp_path / f"good{index}.wav", noise(400, seed=index), 16_000)
    reasons = bad_files(tmp_path, tmp_path / "good0.wav")
    paths = [tmp_path / name for name in ("good0.wav", *reasons, "good1.wav")]
    lines = []
    pairs = decode(paths, lines.append)
    for index, (high, _) in enumerate(pairs):
        np.testing.assert_allclose(high, noise(400, seed=index)[:, 0], atol=1e-4)
    assert len(pairs) == 2
    assert len(lines) == len(reasons)
    for line, (name, reason) in zip(lines, reasons.items(), strict=True):
        assert line.startswith("Skipped: ")
        assert line.count(name) == 1
        assert reason in line
        assert "\n" not in line


def test_without_tensorflow_files_are_decoded_all_the_same(tmp_path, files, monkeypatch):
    broken = tmp_path / "broken.wav"
    broken.write_text("no audio")
    paths = [files[0], broken, files[-1]]
    reports = [], []
    expected = decode(paths, reports[0].append)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    decoded = decode(paths, reports[1].append)
    assert reports[0] == reports[1] and len(reports[0]) == 1
    for ours, theirs in zip(decoded, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_no_usable_file_is_an_error_that_shows_the_first(tmp_path):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not audio")
    lines = []
    with pytest.raises(ValueError, match=r"None of the 2 audio files .*empty\.wav is empty"):
        decode([tmp_path / "empty.wav", tmp_path / "text.wav"], lines.append)
    assert len(lines) == 2
    with pytest.raises(ValueError, match="No audio files were given"):
        decode([])


@pytest.mark.skipif(sys.platform == "darwin", reason="file names there are Unicode")
def test_names_that_are_not_utf8_are_read(tmp_path, files):
    odd = tmp_path / "caf\udce9 1.wav"
    shutil.copy(files[0], odd)
    soundfile_lines = []
    assert len(decode([odd], soundfile_lines.append)) == 1, soundfile_lines
