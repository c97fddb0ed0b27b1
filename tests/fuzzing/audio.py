"""Audio files to fuzz with: valid ones of every kind, then damaged, odd and hostile ones."""

import contextlib
import dataclasses
import io
import os
import random
import struct
from pathlib import Path

import numpy as np
import soundfile
from fuzzing import ogg_pages

KINDS = (
    *(("WAV", subtype) for subtype in ("PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE")),
    *(("WAV", subtype) for subtype in ("ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610")),
    *(("WAVEX", subtype) for subtype in ("PCM_16", "FLOAT")),
    *(("RF64", subtype) for subtype in ("PCM_24", "FLOAT")),
    *(("FLAC", subtype) for subtype in ("PCM_S8", "PCM_16", "PCM_24")),
    *(("OGG", subtype) for subtype in ("VORBIS", "OPUS")),
    *(("MP3", "MPEG_LAYER_III"), ("MP3", "MPEG_LAYER_III")),
)
SUFFIXES = {"WAV": ".wav", "WAVEX": ".wav", "RF64": ".wav", "FLAC": ".flac", "OGG": ".ogg"}
# Of these AIFF and W64 are read.
RARE_KINDS = (("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "PCM_16"), ("W64", "PCM_16"))
# What a file that is to be enhanced without further ado may have: 4 kHz is the tiny model's input.
COMMON_RATES_HZ = (4000, 4000, 4000, 3999, 2000, 1000)
# Rates that each format can hold; Opus takes five.
RATES_HZ = {
    "WAV": (1, 7, 99, 4001, 8000, 11_025, 16_000, 48_000, 96_000, 192_000, 2**31 - 1),
    "FLAC": (1, 4001, 8000, 16_000, 48_000, 655_350),
    "OGG": (4001, 8000, 16_000, 22_050, 48_000, 96_000),
    "OPUS": (8000, 12_000, 16_000, 24_000, 48_000),
    "MP3": (8000, 11_025, 16_000, 22_050, 44_100, 48_000),
}
LENGTHS = (0, 1, 2, 3, 7, 27, 28, 100, 255, 1000, 1152, 4001, 9000)
INTERESTING = (0, 1, 2, 3, 7, 8, 15, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
NAMES = (
    *("-{}{}", "--out{}{}", "new\nline {}{}", "tab\t{}{}", " {} {}", "ü 音 🎵 {}{}", "{}.tar{}"),
    *("[bold]{}{}", "[{}]{}", "[link={}{}", "%s %d {}{}", "{{}} {}{}", "*?{}{}", "~{}{}"),
    *("'{}\"{}", "back\\slash {}{}", "\x1b[31m{}{}", "\x07\r{}{}", "\udcff\udc80 {}{}", ".{}{}"),
    *("e\u0301 {}{}", "\u202e{}{}", "{}{}.", "{}", "{}" + "n" * 240 + "{}", "#{}&;|$(x){}"),
)
TEXTS = (
    b"This is not audio.\n",
    b'{"format": "WAV"}',
    b"\x89PNG\r\n\x1a\n",
    b"PK\x03\x04",
    b"%PDF-1.7\n",
    b"<html>",
    b"ID3\x04\x00\x00\x00\x00\x00\x7f",
    b"\xff\xfb\x90\x64",
    b"RIFF\x00\x00\x00\x00WAVE",
    b"fLaC",
    b"OggS",
    b"\x00\x00\x00\x20ftypM4A ",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioInput:
    """A file that a command is given.

    `frames` is what an intact file holds, None for the others; `description` says what was done.
    """

    path: Path
    frames: int | None
    rate_hz: int
    channels: int
    description: str


def write_audio(rng: random.Random, folder: Path, *, label: str) -> AudioInput:
    """Writes one file, intact in one case of eight, and otherwise damaged, odd or hostile."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = rng.random()
    if draw < 0.06:
        return _special(rng, folder, label)
    format, subtype = rng.choice(RARE_KINDS if draw < 0.08 else KINDS)
    samples, rate_hz = _signal(rng, format, subtype)
    content = encode(samples, rate_hz, format, subtype)
    described = [f"{format} {subtype}, {samples.shape} at {rate_hz} Hz"]
    frames = None
    is_read = format not in ("AU", "CAF")
    if draw < 0.2 and is_read and len(samples) and np.abs(samples).max() < 1e6:
        frames = len(soundfile.read(io.BytesIO(content), always_2d=True)[0])
    for _ in range(rng.choice((1, 1, 1, 2, 3)) if draw >= 0.2 else 0):
        mutate = rng.choice(MUTATIONS + 3 * MUTATIONS_OF.get(content[:2], ()))
        # An earlier mutation may have left little or nothing.
        with contextlib.suppress(IndexError, ValueError, struct.error):
            content = bytes(mutate(rng, bytearray(content)))
        described.append(mutate.__name__.strip("_"))
    path = folder / _name(rng, label, SUFFIXES.get(format, f".{format.lower()}"))
    path.write_bytes(content)
    return AudioInput(
        path=path,
        frames=frames,
        rate_hz=rate_hz,
        channels=samples.shape[1],
        description=", ".join(described),
    )


def encode(samples: np.ndarray, rate_hz: int, format: str, subtype: str) -> bytes:
    """Returns the same bytes for the same samples: without the time and random serial numbers."""
    file = io.BytesIO()
    options = {"format": format, "subtype": subtype}
    with soundfile.SoundFile(file, "w", rate_hz, samples.shape[1], **options) as encoder:
        encoder.write(samples)
    content = bytearray(file.getvalue())
    peak = content.find(b"PEAK", 0, 200)
    if peak > 0:
        # Name, size, version, then the time.
        content[peak + 12 : peak + 16] = bytes(4)
    return bytes(ogg_pages.resealed(content, serial=1) if format == "OGG" else content)


def _signal(rng, format, subtype):
    """Returns samples (time, channels) that the format can hold, and their rate."""
    rates_hz = RATES_HZ.get("OPUS" if subtype == "OPUS" else format, RATES_HZ["WAV"])
    if rng.random() < 0.6 and subtype != "OPUS" and format != "MP3":
        rates_hz = COMMON_RATES_HZ
    channels = rng.choice((1, 1, 1, 2, 2, 3, 8))
    if format == "MP3" or subtype.endswith(("ADPCM", "GSM610")):
        channels = 1 if subtype == "GSM610" else min(channels, 2)
    elif format.startswith("WAV") and rng.random() < 0.03:
        channels = rng.choice((64, 255, 1024))
    rate_hz = rng.choice(rates_hz)
    # A recording of hours is not what this is about.
    length = rng.choice(LENGTHS) if rate_hz >= 1000 else rng.choice(LENGTHS[:5])
    length = length if channels <= 8 else min(length, 100)
    time = np.arange(length)[:, None] / 4000
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal((length, channels))
    kind = rng.choice(("noise", "noise", "tone", "silence", "square", "loud", "numbers"))
    samples = {
        "noise": 0.1 * noise,
        "tone": 0.5 * np.sin(2 * np.pi * 440 * time) * np.ones(channels),
        "silence": np.zeros((length, channels)),
        "square": np.sign(noise),
        "loud": noise,
        "numbers": 0.1 * noise,
    }[kind]
    if kind == "loud" and subtype in ("FLOAT", "DOUBLE"):
        samples = samples * rng.choice((3.0, 1e5, 1e30, 3e38))
    if kind == "numbers" and subtype in ("FLOAT", "DOUBLE") and length:
        wrong = rng.choice((np.nan, np.inf, -np.inf, 1e-45, 1e300))
        samples[rng.randrange(length), rng.randrange(channels)] = wrong
    with np.errstate(over="ignore"):
        return samples.astype("float64" if subtype == "DOUBLE" else "float32"), rate_hz


def _name(rng, label, suffix):
    draw = rng.random()
    if draw < 0.05:
        suffix = rng.choice((".wav", ".flac", ".ogg", ".mp3", ".WAV", ".txt", "", "."))
    if draw > 0.15:
        return f"{label}{suffix}"
    pattern = rng.choice(NAMES)
    return pattern.replace("{}", label, 1).replace("{}", suffix).replace("{{}}", "{}")


def _special(rng, folder, label):
    """Writes what is no audio file at all."""
    path = folder / _name(rng, label, ".wav")
    kind = rng.choice(("empty", "text", "text", "text", "folder", "link", "loop", "device", "pipe"))
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_bytes(rng.choice(TEXTS) * rng.choice((1, 100, 5000)))
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("nothing here.wav")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "device":
        path.symlink_to(rng.choice(("/dev/null", "/dev/zero", "/proc/self/mem", "/dev/full")))
    else:
        os.mkfifo(path)
    return AudioInput(path=path, frames=None, rate_hz=0, channels=0, description=kind)


def _truncate(rng, data):
    end = rng.choice((len(data) - 1, rng.randrange(len(data)), rng.randrange(min(64, len(data)))))
    return data[: max(0, end)]


def _flip_bits(rng, data):
    for _ in range(rng.choice((1, 3, 30))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _flip_header(rng, data):
    for _ in range(rng.choice((1, 2, 8))):
        data[rng.randrange(min(80, len(data)))] = rng.randrange(256)
    return data


def _write_number(rng, data):
    """Puts a number that programs trip over somewhere near the beginning."""
    layout = rng.choice(("<I", ">I", "<H", ">H", "<Q", ">Q"))
    number = struct.pack(layout, rng.choice(INTERESTING) & (2 ** (8 * struct.calcsize(layout)) - 1))
    position = rng.randrange(min(120, len(data)))
    data[position : position + len(number)] = number
    return data


def _wav_field(rng, data):
    """Damages a field of a WAV header: sizes, format tag, channels, rates, block align, bits."""
    start = data.find(b"fmt ") + 8
    audio = data.find(b"data") + 4
    if start < 8 or audio < 4:
        return _write_number(rng, data)
    fields = (
        *((4, "<I"), (start - 4, "<I"), (audio, "<I"), (audio, "<I"), (start, "<H")),
        *((start + 2, "<H"), (start + 4, "<I"), (start + 8, "<I"), (start + 12, "<H")),
        (start + 14, "<H"),
    )
    position, layout = rng.choice(fields)
    number = rng.choice((*INTERESTING, 0xFFFE, 0x7FFFF000, 0x11, 0x55, 0x161, 24, 44_100))
    struct.pack_into(layout, data, position, number & (2 ** (8 * struct.calcsize(layout)) - 1))
    return data


def _insert_chunk(rng, data):
    """Puts a chunk of a true or false size before the audio of a WAV file, or anywhere."""
    position = max(data.find(b"data"), 0) or rng.randrange(len(data))
    body = rng.randbytes(rng.choice((0, 1, 4, 27, 300)))
    size = rng.choice((len(body), len(body), *INTERESTING))
    name = rng.choice(
        (b"LIST", b"fact", b"cue ", b"smpl", b"id3 ", b"PEAK", b"data", b"fmt ", b"?")
    )
    chunk = name.ljust(4) + struct.pack("<I", size) + body + bytes(len(body) % 2)
    return data[:position] + chunk + data[position:]


def _flac_stream_info(rng, data):
    """Damages the rate, channels, bits, length or block sizes that a FLAC file states."""
    if rng.random() < 0.3:
        data[21:26] = rng.choice((b"\xff" * 5, bytes(5), b"\x0f\x7f\xff\xff\xff"))
    else:
        data[rng.randrange(4, 26)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
    return data


def _ogg_page(rng, data):
    """Damages Ogg pages, then makes their checksums right again."""
    return ogg_pages.damaged(rng, data)


def _mp3_length(rng, data):
    """Damages what an MP3 file's first frame says of its length and its padding."""
    position = max(data.find(b"Xing"), data.find(b"Info"))
    if position < 0:
        return _flip_header(rng, data)
    offset, layout = rng.choice(((8, ">I"), (8, ">I"), (12, ">I"), (4, ">I"), (141, ">H")))
    if position + offset + 4 <= len(data):
        number = rng.choice(INTERESTING) & (2 ** (8 * struct.calcsize(layout)) - 1)
        struct.pack_into(layout, data, position + offset, number)
    return data


def _append(rng, data):
    return data + rng.choice((bytes(1000), rng.randbytes(3000), b"TAG" + bytes(125), data, b"\0"))


def _prepend(rng, data):
    tag = b"ID3\x03\x00\x00" + bytes(rng.choice(((0, 0, 0, 20), (0, 0, 2, 0), (127,) * 4)))
    return rng.choice((tag + bytes(20), b"\0" * 16, rng.randbytes(9), b"\xef\xbb\xbf")) + data


def _remove(rng, data):
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 2, 100, 1000)) :]


def _overwrite(rng, data):
    start, length = rng.randrange(len(data)), rng.choice((4, 100, 5000))
    filling = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))
    return data[:start] + filling[: len(data) - start] + data[start + length :]


MUTATIONS = (
    *(_truncate, _flip_bits, _flip_header, _write_number, _append, _prepend, _remove, _overwrite),
)
# By the first two bytes of a file.
MUTATIONS_OF = {
    b"RI": (_wav_field, _wav_field, _insert_chunk),
    b"RF": (_wav_field, _wav_field, _insert_chunk),
    b"fL": (_flac_stream_info, _flac_stream_info),
    b"Og": (_ogg_page, _ogg_page),
    b"\xff\xe3": (_mp3_length,),
    b"\xff\xf3": (_mp3_length,),
    b"\xff\xfb": (_mp3_length,),
}
