"""The frames of MPEG audio (MP3): where they lie, and how much audio they hold."""

import functools
import mmap
import re
from dataclasses import dataclass

# Of layers I, II and III, in kbit/s, by the index in the header; 0 is a free bit rate.
_KBPS_MPEG1 = (
    (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
)
_KBPS_MPEG2 = (
    (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    *2 * ((0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),),
)
# By the version bits: MPEG 2.5, none, MPEG 2, MPEG 1.
_RATES_HZ = ((11_025, 12_000, 8000), (), (22_050, 24_000, 16_000), (44_100, 48_000, 32_000))
_SYNC = re.compile(rb"\xff[\xe0-\xff]")
LARGEST_FRAME_BYTES = 2881


@dataclass(frozen=True, kw_only=True)
class MpegAudio:
    """The frames that were found in a file.

    Attributes:
        parts: (start, length) of each run of frames; what lies between is no audio.
        frames: number of frames that hold audio.
        frame_samples: samples per channel in each.
        stated_frames: how many frames the first one says there are, None where none does.
        skipped_bytes: how many bytes before the first frame and between others belong to none.
        changes: whether the sample rate, mono or stereo, or the kind of MPEG audio changes on the
            way; the frames from there on are not among those found.
    """

    parts: tuple[tuple[int, int], ...]
    frames: int
    frame_samples: int
    stated_frames: int | None
    skipped_bytes: int
    changes: bool


def find_frames(fileno: int, start: int) -> MpegAudio | None:
    """Returns the whole frames of a file from `start` on; None if there are none.

    What begins like a frame counts if it follows one, or if another or the end follows it.
    """
    with mmap.mmap(fileno, 0, access=mmap.ACCESS_READ) as data:
        first = position = _next_frame(data, start)
        if first is None:
            return None
        parts, frames, kind = [], 0, _kind(data, first)
        while position is not None and _kind(data, position) == kind:
            begin = position
            while (length := _frame_bytes(data, position)) and _kind(data, position) == kind:
                position += length
                frames += 1
            parts.append((begin, position - begin))
            position = _next_frame(data, position)
        skipped = parts[-1][0] + parts[-1][1] - start - sum(length for _, length in parts)
        header, stated = _header_frame(data[first : first + LARGEST_FRAME_BYTES])
        if header == "VBRI":
            # mpg123 in libsndfile takes it for audio.
            (begin, length), *others = parts
            header_bytes = _frame_bytes(data, first)
            parts = [(begin + header_bytes, length - header_bytes), *others]
        version, layer = _version_and_layer(data[first + 1])
        return MpegAudio(
            parts=tuple(parts),
            frames=frames - bool(header),
            frame_samples=384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152,
            stated_frames=stated,
            skipped_bytes=skipped,
            changes=position is not None,
        )


def _next_frame(data, start):
    for match in _SYNC.finditer(data, start):
        position = match.start()
        if length := _frame_bytes(data, position):
            end = position + length
            follows = _frame_bytes(data, end) and _kind(data, end) == _kind(data, position)
            if follows or end == len(data):
                return position
    return None


def _frame_bytes(data, position):
    """Returns the length of the whole frame that begins at a position, 0 if none does."""
    header = data[position : position + 4]
    if len(header) < 4 or header[0] != 0xFF:
        return 0
    length = _stated_bytes(header[1], header[2])
    return length if position + length <= len(data) else 0


def _kind(data, position):
    """Returns what is the same in all frames: version, layer, sample rate, whether it is mono."""
    _, second, third, fourth = data[position : position + 4]
    return second & 0xFE, third & 0x0C, fourth >> 6 == 3


@functools.cache
def _stated_bytes(second: int, third: int) -> int:
    """Returns the length that two bytes of a header state, 0 if they are none."""
    version, layer = _version_and_layer(second)
    kbps_index, rate_index, padding = third >> 4, third >> 2 & 3, third >> 1 & 1
    if second >> 5 != 7 or version == 1 or layer == 4 or kbps_index in (0, 15) or rate_index == 3:
        return 0
    kbps = (_KBPS_MPEG1 if version == 3 else _KBPS_MPEG2)[layer - 1][kbps_index]
    rate_hz = _RATES_HZ[version][rate_index]
    if layer == 1:
        return 4 * (12_000 * kbps // rate_hz + padding)
    return (72_000 if layer == 3 and version != 3 else 144_000) * kbps // rate_hz + padding


def _version_and_layer(second):
    """Returns the version bits, 3 for MPEG 1, and the layer, 4 for none."""
    return second >> 3 & 3, 4 - (second >> 1 & 3)


def _header_frame(frame):
    """Returns the name of the header that a frame holds in place of audio, and its frame count."""
    is_mono = frame[3] >> 6 == 3
    side_bytes = ((17, 32), (9, 17))[_version_and_layer(frame[1])[0] != 3][not is_mono]
    # A checksum of two bytes may stand before.
    for start in (4 + side_bytes, 6 + side_bytes):
        if frame[start : start + 4] in (b"Xing", b"Info"):
            states_frames = frame[start + 7] & 1
            stated = int.from_bytes(frame[start + 8 : start + 12], "big")
            return "Xing", stated if states_frames else None
    # Whether its count includes this frame is said differently.
    return ("VBRI" if frame[36:40] == b"VBRI" else None), None
