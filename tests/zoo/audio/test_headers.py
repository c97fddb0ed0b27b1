"""Files whose headers do not tell what they hold: unfilled sizes, tags, junk, MP3 without a length.

What soundfile decodes of the same audio in a plain file is the reference.
"""

import io
import os
import re
import struct
import threading

import numpy as np
import pytest
import soundfile
from signals import audio_bytes, noise

from tonezoo.audio.reader import AudioReader

STEREO = (np.sin(np.arange(999) / 7) * 9000).astype("<i2")[:, None].repeat(2, 1)
ID3V1 = b"TAG" + b"title".ljust(30, b"\0") + bytes(94) + b"\xff"


def id3v2(size, padding=0):
    return b"ID3\3\0\0" + bytes(size >> s & 127 for s in (21, 14, 7, 0)) + bytes(size + padding)


def apev2(size=50):
    def part(flags):
        return b"APETAGEX" + struct.pack("<IIII", 2000, size + 32, 1, flags) + bytes(8)

    return part(0xA0000000) + bytes(size) + part(0x80000000)


def wav(data_size, riff_size, *, order="<", after=b""):
    fields = struct.pack(order + "HHIIHH", 1, 2, 4000, 16_000, 4, 16)
    data = STEREO.astype(order + "i2").tobytes()
    head = (b"RIFF" if order == "<" else b"RIFX") + struct.pack(order + "I", riff_size) + b"WAVE"
    chunk = b"fmt " + struct.pack(order + "I", len(fields)) + fields
    return head + chunk + b"data" + struct.pack(order + "I", data_size) + data + after


def rf64(magic, data_size, frames=0, *, size=0xFFFFFFFF):
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, data_size, data_size, frames, 0)
    return magic + b"\xff" * 4 + b"WAVE" + ds64 + wav(size, 0)[12:]


def read(path, content):
    """Returns the samples and the notice of a file of this content."""
    path.write_bytes(content)
    with AudioReader(path) as audio:
        blocks = list(audio.blocks(500))
        assert audio.frames in (None, sum(map(len, blocks)))
        return np.concatenate(blocks), audio.notice


UNFILLED = [0, 0x7FFFF000, 0x7FFFFF00, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFDB, 0xFFFFFFFF]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("size", UNFILLED, ids=hex)
def test_wav_sizes_that_were_never_filled_in(tmp_path, size, order):
    for riff_size in (size, min(size + 36, 0xFFFFFFFF)):
        samples, notice = read(tmp_path / "a.wav", wav(size, riff_size, order=order))
        np.testing.assert_array_equal(samples * 32768, STEREO)
        assert "never filled in the sizes" in notice


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1, 2**64 - 100], ids=hex)
def test_64_bit_sizes_that_were_never_filled_in(tmp_path, magic, size):
    samples, notice = read(tmp_path / "a.wav", rf64(magic, size))
    np.testing.assert_array_equal(samples * 32768, STEREO)
    assert "never filled in the sizes" in notice


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_64_bit_sizes_that_are_right_or_too_large(tmp_path, magic):
    # Of two sizes that contradict each other ds64 is believed, as by libsndfile.
    for content in (
        rf64(magic, 3996, 999),
        rf64(magic, 0, size=3996),
        rf64(magic, 2**64 - 1, size=3996),
        rf64(magic, 3996, size=24),
    ):
        samples, notice = read(tmp_path / "a.wav", content)
        np.testing.assert_array_equal(samples * 32768, STEREO)
        assert notice is None
    with pytest.raises(ValueError, match="4 bytes of audio are missing"):
        read(tmp_path / "a.wav", rf64(magic, 4000, 1000))


def test_sizes_that_are_right_or_truncated_are_told_apart(tmp_path):
    path = tmp_path / "a.wav"
    info = b"LIST" + struct.pack("<I", 4) + b"INFO"
    for content in (wav(3996, 4032), wav(3996, 0), wav(3996, 0xFFFFFFFF), wav(3996, 9, after=info)):
        samples, notice = read(path, content)
        np.testing.assert_array_equal(samples * 32768, STEREO)
        assert notice is None
    for missing in (4, 1000, 10**9):
        with pytest.raises(ValueError, match=f"{missing} bytes of audio are missing"):
            read(path, wav(3996 + missing, 4032 + missing))
    # A RIFF size that was never filled in says the same of the size of the audio.
    samples, notice = read(path, wav(3996 + 1000, 0))
    assert len(samples) == 999 and notice


@pytest.mark.parametrize("head", [wav(0xFFFFFFFF, 0xFFFFFFFF), rf64(b"RF64", 0)])
def test_unfilled_sizes_beyond_4_gib(tmp_path, head):
    """In a sparse file: what is not written reads as zeros and takes no room."""
    path = tmp_path / "a.wav"
    path.write_bytes(head)
    os.truncate(path, 2**32 + 2**20)
    start = head.index(b"data") + 8
    with AudioReader(path) as audio:
        assert audio.frames == (2**32 + 2**20 - start) // 4
        np.testing.assert_array_equal(next(audio.blocks(999)) * 32768, STEREO)


TAGGED = {
    "plain": (b"", b""),
    "ID3v1": (b"", ID3V1),
    "APEv2": (b"", apev2()),
    "APEv2 and ID3v1": (b"", apev2() + ID3V1),
    "ID3v2": (id3v2(300), b""),
    "two ID3v2": (id3v2(30) + id3v2(20_000), b""),
    "zeros after ID3v2": (id3v2(20, padding=9000), b""),
    "both ends": (id3v2(20, padding=1000), apev2() + ID3V1),
}
JUNK_BEHIND = {"zeros": bytes(3000), "text": b"hello " * 1000, "noise": noise(9000).tobytes()}
JUNK_BEFORE = {"zeros": bytes(9000), "text": b"hello " * 1000}


@pytest.mark.parametrize("name", [*TAGGED, *JUNK_BEHIND])
@pytest.mark.parametrize("states_length", [True, False])
def test_flac_between_tags_and_junk(tmp_path, name, states_length):
    content = audio_bytes(noise(30_000, 2), 16_000, format="FLAC")
    expected = soundfile.read(io.BytesIO(content), dtype="float32")[0]
    if not states_length:
        # The number of samples takes the last 36 bits of bytes 18 to 25.
        content = content[:21] + bytes([content[21] & 0xF0, 0, 0, 0, 0]) + content[26:]
    before, behind = TAGGED.get(name) or (b"", JUNK_BEHIND[name])
    path = tmp_path / "a.flac"
    if name in JUNK_BEHIND and not states_length:
        # Nothing says whether the junk was audio.
        with pytest.raises(ValueError, match=r"a\.flac is truncated or damaged.*with ffmpeg"):
            read(path, before + content + behind)
    else:
        np.testing.assert_array_equal(read(path, before + content + behind)[0], expected)
    with pytest.raises(ValueError, match="truncated"):
        read(path, before + content[:-100])


def mp3(rate_hz, channels=2, seconds=2, mode="VARIABLE"):
    """Returns an MP3 file whose second half is quieter, split into its frames."""
    samples = noise(rate_hz * seconds, channels)
    samples[rate_hz * seconds // 2 :] *= 1e-3
    content = audio_bytes(
        samples, rate_hz, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode=mode
    )
    # The first two bytes of all frames are the same, and in noise no others are.
    starts = [found.start() for found in re.finditer(re.escape(content[:2]), content)]
    starts = [at for at in starts if content[at + 2] & 0x0C == content[2] & 0x0C]
    return [content[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]


def decoded_from_a_pipe(content):
    """Returns what libsndfile decodes where it cannot know a size, and hence guesses no length."""
    read_end, write_end = os.pipe()

    def write():
        with os.fdopen(write_end, "wb") as file:
            file.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    with soundfile.SoundFile(read_end) as file:
        samples = file.read(10**6, dtype="float32", always_2d=True)
    writer.join()
    return samples


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE", "AVERAGE"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", [8000, 16_000, 44_100])
def test_every_frame_of_an_mp3_without_a_length_is_decoded(tmp_path, rate_hz, channels, mode):
    frames = mp3(rate_hz, channels, mode=mode)[1:]
    frame_samples = 1152 if rate_hz > 24_000 else 576
    samples, _ = read(tmp_path / "a.mp3", b"".join(frames))
    assert samples.shape == (frame_samples * len(frames), channels)
    # The decoder rounds the last bit differently from one run to the next.
    expected = decoded_from_a_pipe(b"".join(frames))
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "name", [*TAGGED, *JUNK_BEHIND, *(f"{name} before" for name in JUNK_BEFORE)]
)
@pytest.mark.parametrize("states_length", [True, False])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_mp3_between_tags_and_junk(tmp_path, name, states_length, rate_hz):
    frames = mp3(rate_hz)[0 if states_length else 1 :]
    path = tmp_path / "a.mp3"
    expected, _ = read(path, b"".join(frames))
    if states_length:
        assert len(expected) == 2 * rate_hz
        np.testing.assert_allclose(expected, soundfile.read(path)[0], rtol=0, atol=1e-6)
    if name.endswith(" before"):
        before, behind = JUNK_BEFORE[name.removesuffix(" before")], b""
    else:
        before, behind = TAGGED.get(name) or (b"", JUNK_BEHIND[name])
    samples, _ = read(path, before + b"".join(frames) + behind)
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-7)


def test_mp3_as_a_recorder_that_was_switched_on_and_off_leaves_it(tmp_path):
    """The first or the last frame is cut, tags or junk lie between others: all whole ones count."""
    frames = mp3(44_100)[1:]
    body = b"".join(frames)
    for content, count, skipped in [
        (body[100:], len(frames) - 1, len(frames[0]) - 100),
        (body[:-100], len(frames) - 1, 0),
        (b"".join(frames[:20]) + b"hello" * 500 + b"".join(frames[20:]), len(frames), 2500),
        (body + id3v2(5000) + body, 2 * len(frames), 5010),
    ]:
        samples, notice = read(tmp_path / "a.mp3", content)
        assert len(samples) == 1152 * count
        assert (notice or "0 bytes").partition(" bytes")[0] == str(skipped)


def test_mp3_that_states_another_length_than_it_has(tmp_path):
    frames = mp3(44_100)
    path, count = tmp_path / "a.mp3", len(frames) - 1
    with pytest.raises(ValueError, match=f"states {count} frames of audio, {count - 1} are there"):
        read(path, b"".join(frames[:-1]))
    with pytest.raises(ValueError, match=f"states {count} frames .* more audio follows.* ffmpeg"):
        read(path, 2 * b"".join(frames))
    at = max(frames[0].find(b"Xing"), frames[0].find(b"Info"))
    flags = frames[0][at + 7] & 0xFE
    countless = frames[0][: at + 7] + bytes([flags]) + frames[0][at + 12 :] + bytes(4)
    assert len(read(path, countless + b"".join(frames[1:]))[0]) == 1152 * count
    vbri = (frames[0][:4] + bytes(32) + b"VBRI").ljust(len(frames[0]), b"\0")
    assert len(read(path, vbri + b"".join(frames[1:]))[0]) == 1152 * count


def test_mp3_that_changes_on_the_way_is_refused(tmp_path):
    for other in (mp3(16_000), mp3(44_100, channels=1)):
        with pytest.raises(ValueError, match=r"a\.mp3 is MPEG audio that changes .* with ffmpeg"):
            read(tmp_path / "a.mp3", b"".join(mp3(44_100)[1:] + other[1:]))


def test_an_mp3_is_known_by_its_content_as_far_as_it_begins_like_one(tmp_path):
    content = b"".join(mp3(16_000)[1:])
    assert len(read(tmp_path / "a.wav", content)[0]) == len(read(tmp_path / "b.mp3", content)[0])
    with pytest.raises(ValueError, match="not readable as audio"):
        read(tmp_path / "a.wav", b"hello" + content)
