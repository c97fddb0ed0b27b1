"""Reading and writing audio files: every format, every way in which a file can be bad."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import signals
import soundfile

from tonezoo.audio.reader import AudioReader, read_audio
from tonezoo.audio.writer import AudioWriter

RATE_HZ = 8000


def noise(frames, channels=2):
    return signals.noise(frames, channels)


def write(path, samples, **options):
    return signals.write_audio(path, samples, RATE_HZ, **options)


def is_bad(path, *words):
    with pytest.raises(ValueError) as caught:
        read_audio(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    for word in words:
        assert word in message
    return message


FORMATS = [
    ("a.wav", {"subtype": "PCM_16"}),
    ("a.wav", {"subtype": "PCM_24"}),
    ("a.wav", {"subtype": "FLOAT"}),
    ("a.wav", {"subtype": "PCM_16", "endian": "BIG"}),
    ("a.wav", {"subtype": "FLOAT", "format": "WAVEX"}),
    ("a.wav", {"subtype": "PCM_24", "format": "RF64"}),
    ("a.flac", {"subtype": "PCM_24"}),
    ("a.ogg", {"subtype": "VORBIS"}),
    ("a.ogg", {"subtype": "OPUS"}),
    ("a.mp3", {"subtype": "MPEG_LAYER_III"}),
    ("a.aiff", {"subtype": "PCM_24"}),
    ("a.aif", {"subtype": "FLOAT", "format": "AIFF"}),
    ("a.w64", {"subtype": "PCM_16"}),
]


@pytest.mark.parametrize("name, options", FORMATS, ids=lambda value: str(value))
def test_blocks_and_whole_files_are_what_soundfile_decodes(tmp_path, name, options):
    path = write(tmp_path / name, noise(20_001), **options)
    expected, rate_hz = soundfile.read(path, dtype="float32")
    with AudioReader(path) as audio:
        assert (audio.frames, audio.channels, audio.sample_rate_hz) == (20_001, 2, rate_hz)
        blocks = list(audio.blocks(999))
    assert {len(block) for block in blocks[:-1]} == {999}
    whole, read_rate_hz = read_audio(path)
    assert read_rate_hz == rate_hz and whole.dtype == np.float32
    # The MP3 decoder rounds the last bit differently from one run to the next.
    tolerance = 1e-7 if name == "a.mp3" else 0
    np.testing.assert_allclose(whole, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.concatenate(blocks), expected, rtol=0, atol=tolerance)


def test_integer_samples_are_scaled_by_their_full_scale(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([16384, -32768, 32767, 1], "int16"), RATE_HZ)
    np.testing.assert_array_equal(read_audio(path)[0][:, 0] * 32768, [16384, -32768, 32767, 1])


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_one_sample_and_eight_channels(tmp_path, name):
    channels = 2 if name == "a.mp3" else 8
    path = write(tmp_path / name, noise(1, channels))
    assert read_audio(path)[0].shape == (1, channels)


def test_missing_folder_and_empty(tmp_path):
    is_bad(tmp_path / "none.wav", "No such file")
    is_bad(tmp_path, "directory")
    for name in ("empty.wav", "empty.mp3"):
        (tmp_path / name).touch()
        is_bad(tmp_path / name, "empty", "0 bytes")


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "device.wav").symlink_to("/dev/zero")
    for name in ("pipe.wav", "device.wav"):
        is_bad(tmp_path / name, "is a pipe or a device", "to a file first")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    is_bad(tmp_path / "loop.wav", "Too many levels of symbolic links")
    is_bad(tmp_path / f"{300 * 'x'}.wav", "File name too long")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_text_under_an_audio_name(tmp_path, name):
    (tmp_path / name).write_text("This is not audio.\n" * 100)
    is_bad(tmp_path / name, "FLAC, OGG, MP3, AIFF and W64", "ffmpeg converts")


def test_other_audio_formats_are_named(tmp_path):
    write(tmp_path / "a.caf", noise(100))
    is_bad(tmp_path / "a.caf", "CAF", "FLAC, OGG, MP3, AIFF and W64", "with ffmpeg")


def test_header_only(tmp_path):
    path = write(tmp_path / "a.wav", noise(0), subtype="PCM_16")
    is_bad(path, "no samples")
    # The chunk that follows the empty one must not be taken for audio of unknown length.
    path.write_bytes(path.read_bytes()[:44] + b"LIST" + struct.pack("<I", 4) + b"INFO")
    is_bad(path, "no samples")
    is_bad(write(tmp_path / "a.ogg", noise(0)), "no samples")
    flac = write(tmp_path / "a.flac", noise(1000))
    flac.write_bytes(flac.read_bytes()[:60])
    is_bad(flac)


def test_sample_rates_that_are_none(tmp_path):
    path = tmp_path / "a.wav"
    for rate_hz in (1, 99, 10_000_001, 2**31 - 1):
        soundfile.write(path, noise(1000), rate_hz)
        is_bad(path, f"states is {rate_hz}, but", "from 100 to 10,000,000", "header is damaged")
    for rate_hz in (100, 10_000_000):
        soundfile.write(path, noise(1000), rate_hz)
        assert read_audio(path)[1] == rate_hz


@pytest.mark.parametrize("kept", [0.5, 0.99, -1])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.w64"])
def test_truncated(tmp_path, name, kept):
    path = write(tmp_path / name, noise(40_000))
    data = path.read_bytes()
    path.write_bytes(data[: kept if kept == -1 else int(kept * len(data))])
    is_bad(path, "truncated")


@pytest.mark.parametrize("options", [{"endian": "BIG"}, {"format": "WAVEX"}, {"format": "RF64"}])
def test_truncated_kinds_of_wav(tmp_path, options):
    path = write(tmp_path / "a.wav", noise(100), subtype="PCM_16", **options)
    path.write_bytes(path.read_bytes()[:-4])
    is_bad(path, "truncated", "4 bytes")


def test_chunks_around_the_audio_are_not_audio(tmp_path):
    path = write(tmp_path / "a.wav", noise(101, 1), subtype="PCM_U8")
    data = path.read_bytes()
    extra = b"LIST" + struct.pack("<I", 5) + b"INFO!\0"
    # 101 bytes of audio and the padding byte stand between the two extra chunks.
    path.write_bytes(data[:12] + extra + data[12:] + extra)
    assert read_audio(path)[0].shape == (101, 1)
    path.write_bytes(path.read_bytes()[: -len(extra) - 6])
    is_bad(path, "truncated", "5 bytes")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
@pytest.mark.parametrize("size", [20, 300, 20_000])
def test_tag_before_the_audio(tmp_path, name, size):
    path = write(tmp_path / name, noise(9000))
    expected = read_audio(path)[0]
    data = path.read_bytes()
    tag = b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)
    path.write_bytes(tag + data)
    np.testing.assert_allclose(read_audio(path)[0], expected, rtol=0, atol=1e-6)
    path.write_bytes(tag + data[:-100])
    is_bad(path, "truncated")
    path.write_bytes(tag)
    is_bad(path)


def test_flac_of_unknown_length(tmp_path):
    path = write(tmp_path / "a.flac", noise(70_000))
    expected = read_audio(path)[0]
    data = bytearray(path.read_bytes())
    # The number of samples takes the last 36 bits of bytes 18 to 25 (STREAMINFO after 8 bytes).
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    with AudioReader(path) as audio:
        assert audio.frames is None and not audio.seeks_exactly
        with pytest.raises(ValueError, match="does not state its length"):
            audio.read_at(0, 1)
    np.testing.assert_array_equal(read_audio(path)[0], expected)


@pytest.mark.parametrize("value, word", [(np.nan, "nan"), (-np.inf, "-inf")])
def test_samples_that_are_no_numbers(tmp_path, value, word):
    samples = noise(100_000)
    samples[84_000, 1] = value
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    is_bad(path, word, "10.500 s", "channel 2")


OUTPUTS = [("wav", "float"), ("wav", "24"), ("wav", "16"), ("flac", "24"), ("flac", "16")]


@pytest.mark.parametrize("format, bit_depth", OUTPUTS)
def test_written_formats_and_counted_clipping(tmp_path, format, bit_depth):
    samples = noise(70_000, 3)
    samples[[10, 69_000, 69_001], [0, 1, 2]] = [1.5, -2.5, 1.0]
    path = tmp_path / f"new/out.{format}"
    with AudioWriter(path, RATE_HZ, 3, format=format, bit_depth=bit_depth) as audio:
        for start in range(0, len(samples), 30_000):
            audio.write(samples[start : start + 30_000])
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    is_float = bit_depth == "float"
    info = soundfile.info(path)
    assert info.subtype == ("FLOAT" if is_float else f"PCM_{bit_depth}")
    assert (audio.clipped_samples, audio.peak) == (0 if is_float else 2, 2.5)
    tolerance = 0 if is_float else 1.01 * 2.0 ** (1 - int(bit_depth))
    expected = samples if is_float else samples.clip(-1, 1)
    np.testing.assert_allclose(read_audio(path)[0], expected, rtol=0, atol=tolerance)


def test_vorbis_output(tmp_path):
    path = tmp_path / "out.ogg"
    with AudioWriter(path, RATE_HZ, 2, format="ogg") as audio:
        audio.write(noise(400_000))
    assert read_audio(path)[0].shape == (400_000, 2)
    assert audio.clipped_samples == 0
    tone = 3 * np.sin(0.1 * np.arange(10_000, dtype="float32"))[:, None]
    with AudioWriter(path, RATE_HZ, 1, format="ogg") as audio:
        audio.write(tone)
    assert audio.clipped_samples == (np.abs(tone) > 1).sum()
    assert 0.9 < np.abs(read_audio(path)[0]).max() < 1.5


def test_long_wav_files_are_written_as_rf64(tmp_path):
    # 2^28 stereo samples of 32 bits make 2 GiB, one sample short of 2^29 make 4 GiB.
    for frames, format in [(2**28, "WAV"), (2**29 - 1, "RF64")]:
        path = tmp_path / "out.wav"
        with AudioWriter(path, RATE_HZ, 2, frames=frames) as audio:
            audio.write(noise(10))
        assert soundfile.info(path).format == format
        assert read_audio(path)[0].shape == (10, 2)


@pytest.mark.parametrize(
    "format, bit_depth", [("mp3", None), ("wav", "32"), ("flac", "float"), ("ogg", "16")]
)
def test_formats_that_do_not_exist(tmp_path, format, bit_depth):
    with pytest.raises(ValueError, match=r"Accepted: wav float, .*, ogg lossy"):
        AudioWriter(tmp_path / "out", RATE_HZ, 1, format=format, bit_depth=bit_depth)


@pytest.mark.parametrize(
    "format, channels, rate_hz",
    [
        *(("flac", 9, 8000), ("flac", 2, 655_351), ("ogg", 256, 8000), ("ogg", 1, 200_001)),
        *(("wav", 1025, 8000), ("wav", 1, 0), ("wav", 1, -8000), ("wav", 1, np.inf)),
        *(("wav", 1, np.nan), ("wav", 1, 1e-6), ("wav", 1, "8000"), ("ogg", 1, 99)),
    ],
)
def test_channels_and_rates_that_a_format_cannot_hold(tmp_path, format, channels, rate_hz):
    """Vorbis of 256 channels, or above 200 kHz, ends the process in libsndfile."""
    with (
        pytest.raises(ValueError, match=r"cannot hold|The sample rate of .*out"),
        AudioWriter(tmp_path / "out", rate_hz, channels, format=format) as audio,
    ):
        audio.write(noise(10, channels))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "format, channels, rate_hz",
    [("flac", 8, 655_350), ("ogg", 255, 200_000), ("wav", 1024, 10_000_000), ("wav", 1, 100)],
)
def test_the_most_that_a_format_can_hold(tmp_path, format, channels, rate_hz):
    with AudioWriter(tmp_path / "out", rate_hz, channels, format=format) as audio:
        audio.write(noise(200, channels))
    samples, read_rate_hz = read_audio(tmp_path / "out")
    assert (samples.shape, read_rate_hz) == ((200, channels), rate_hz)


def test_nothing_is_left_of_an_output_that_failed(tmp_path):
    path = tmp_path / "out.wav"
    path.write_text("as before")
    for samples in (np.array([[0.1], [np.nan]], "float32"), np.zeros((3, 2), "float32")):
        with pytest.raises(ValueError), AudioWriter(path, RATE_HZ, 1) as audio:
            audio.write(noise(10, 1))
            audio.write(samples)
    assert path.read_text() == "as before"
    assert list(tmp_path.iterdir()) == [path]


def test_output_that_cannot_be_created(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "out.wav", tmp_path):
        with pytest.raises(ValueError, match=str(tmp_path)), AudioWriter(path, RATE_HZ, 1):
            pass


FULL_DISK = """
import pathlib, resource, sys
import numpy as np
from tonezoo.audio.writer import AudioWriter

folder, limit = pathlib.Path(sys.argv[1]), int(sys.argv[2])
noise = 0.1 * np.random.default_rng(0).standard_normal((200_000, 2)).astype("float32")
for kind in ("wav float", "wav 16", "flac 24", "ogg lossy"):
    format, bit_depth = kind.split()
    with AudioWriter(folder / "whole", 8000, 2, format=format, bit_depth=bit_depth) as audio:
        audio.write(noise)
    size = (folder / "whole").stat().st_size
    (folder / "whole").unlink()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit or size - 1, hard))
    try:
        with AudioWriter(folder / "out", 8000, 2, format=format, bit_depth=bit_depth) as audio:
            audio.write(noise)
        print(kind, "was written")
    except ValueError as error:
        print(kind, "failed:", error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
"""


@pytest.mark.parametrize("limit", [20_000, 0], ids=["early", "last byte"])
def test_full_disk(tmp_path, limit):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path, str(limit)], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert f"failed: Cannot write {tmp_path / 'out'}: File too large." in line
    assert list(tmp_path.iterdir()) == []
