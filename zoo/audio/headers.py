"""What the headers of audio files say about completeness, where libsndfile keeps silent.

`prepare` shows libsndfile of each file what it can read: without tags and junk, and with the sizes
that the program which wrote the file never filled in.
"""

import struct
from dataclasses import dataclass

from tonezoo.audio.mpeg import LARGEST_FRAME_BYTES, MpegAudio, find_frames
from tonezoo.audio.view import FileView

_WAV_MAGICS = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_MAGICS = (*_WAV_MAGICS, b"OggS", b"fLaC", b"FORM", b"riff")
_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga")
_LARGEST_OGG_PAGE = 27 + 255 + 255 * 255
# Programs that cannot seek back write a size at or a little below a limit: 0x7FFFF000, 0xFFFFFFFF
# less a header, ...
_LIMITS = (2**31, 2**32, 2**63, 2**64)
_BELOW_LIMIT, _ABOVE_LIMIT = 2**16, 2**12


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is to be known of a file besides what libsndfile tells.

    Attributes:
        missing_bytes: how many bytes of audio are missing at the end.
        is_unfilled: the header does not state how much audio there is; all to the end is taken.
        mpeg: the frames of MPEG audio, if it is that.
    """

    missing_bytes: int = 0
    is_unfilled: bool = False
    mpeg: MpegAudio | None = None

    @property
    def notice(self) -> str | None:
        """What a user should know of how the file is read, None if nothing."""
        if self.is_unfilled:
            return (
                "Its header does not state how long it is, because the program that wrote it never "
                "filled in the sizes: everything up to the end of the file is read."
            )
        if self.mpeg and self.mpeg.skipped_bytes:
            return (
                f"{self.mpeg.skipped_bytes} bytes before or between its frames are no audio, as "
                "in a damaged file or one of several parts: they are left out."
            )
        return None


def prepare(view: FileView, suffix: str) -> Findings:
    """Makes a view show what libsndfile can read; returns what else there is to know.

    Args:
        view: the whole file.
        suffix: of the file's name; an MP3 file may begin with anything.
    """
    start = _audio_start(view)
    magic = view.unpack(start, "4s")[0]
    if magic in _MAGICS:
        end = _audio_end(view) if magic == b"fLaC" else view.stored_size
        view.show([(start, end - start)])
        if magic in _WAV_MAGICS:
            return _wav(view)
        if magic in (b"FORM", b"riff"):
            return _aiff(view) if magic == b"FORM" else _w64(view)
        return Findings()
    begins_like_mpeg = magic[0] == 0xFF and magic[1] >> 5 == 7
    if begins_like_mpeg or start or suffix.lower() in _MPEG_SUFFIXES:
        found = find_frames(view.fileno(), start)
        if found is not None:
            view.show(found.parts)
            if found.stated_frames is None:
                # libsndfile guesses a length from the size and the first frame, and stops there.
                view.claimed_size = (found.frames + 1) * LARGEST_FRAME_BYTES
        return Findings(mpeg=found)
    return Findings()


def ogg_is_cut(view: FileView) -> bool:
    """Returns whether the last page of an Ogg file runs past the end of the file."""
    view.seek(max(0, view.size - _LARGEST_OGG_PAGE))
    tail = view.read()
    start = tail.rfind(b"OggS")
    if start < 0:
        return False
    page = tail[start:]
    if len(page) < 27:
        return True
    lacing = page[27 : 27 + page[26]]
    return 27 + page[26] + sum(lacing) > len(page)


def _audio_start(view):
    """Returns the position after the ID3v2 tags and the zeros that a file begins with."""
    position = 0
    while True:
        magic, *size = view.unpack(position, "3s3x4B")
        if magic != b"ID3":
            break
        # The tag gives its size, without these ten bytes, in four bytes of seven bits.
        position += 10 + sum(byte << 7 * (3 - i) for i, byte in enumerate(size))
        view.seek(position)
        while (block := view.read(4096)) and not block.strip(b"\0"):
            position += len(block)
        position += len(block) - len(block.lstrip(b"\0"))
    return position if position < view.size else 0


def _audio_end(view):
    """Returns the position of the tags that a file ends with: APE version 2, ID3 version 1."""
    end = view.size
    if view.unpack(max(0, end - 128), "3s")[0] == b"TAG":
        end -= 128
    magic, _, size, _, flags = view.unpack(max(0, end - 32), "<8sIIII")
    if magic == b"APETAGEX":
        has_header = flags >> 31
        end -= size + 32 * has_header
    return max(0, end)


def _wav(view) -> Findings:
    magic, riff_size, kind = view.unpack(0, "<4sI4s")
    is_64 = magic in (b"RF64", b"BW64")
    order = ">" if magic == b"RIFX" else "<"
    chunks = list(_chunks(view, 12, order))
    data = next(((start, length) for name, start, length in chunks if name == b"data"), None)
    if kind != b"WAVE" or data is None:
        return Findings()
    start, length = data
    available = view.size - start
    long_length = view.unpack(chunks[0][1], "<QQ")[1] if chunks[0][0] == b"ds64" else 0
    is_long = is_64 and (length == 0xFFFFFFFF or (long_length and not _is_placeholder(long_length)))
    if is_long and chunks[0][0] == b"ds64":
        length = long_length
    end = start + length + length % 2
    if length > available:
        riff_is_unfilled = not is_64 and (riff_size == 0 or _is_placeholder(riff_size))
        unfilled = riff_is_unfilled or _is_placeholder(length)
    else:
        # Of 0, or of more than 2 GiB, only what follows tells whether the audio ends there.
        doubtful = (length == 0 and available > 0) or _is_placeholder(length)
        unfilled = doubtful and end < view.size and not _is_chunk_list(view, end, order)
    if unfilled:
        _fill_in(view, start, available, chunks)
    elif is_64:
        # libsndfile does not know BW64 by its name, and takes a size of 0 in ds64 literally.
        view.patches[0] = b"RF64" if is_long else b"RIFF"
    return Findings(
        missing_bytes=0 if unfilled else max(0, length - available), is_unfilled=unfilled
    )


def _fill_in(view, start, available, chunks):
    """Makes a WAV file state how much audio there is from `start` on."""
    # libsndfile takes this size, of RIFF, for "up to the end", as far as 4 GiB.
    view.patches[start - 4] = b"\xff\xff\xff\xff"
    magic = view.unpack(0, "4s")[0]
    if magic == b"RIFX":
        return
    if available < 2**32 - 2**16:
        view.patches[0] = b"RIFF"
        return
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, view.size + 24, available, 0, 0)
    ((stored_start, size),) = view.parts
    name, ds64_start, length = chunks[0]
    first = ds64_start + length if name == b"ds64" else 12
    view.patches = {position + 48 - first: patch for position, patch in view.patches.items()}
    view.show([b"RF64\xff\xff\xff\xffWAVE" + ds64, (stored_start + first, size - first)])


def _aiff(view) -> Findings:
    return _first_chunk_named(b"SSND", _chunks(view, 12, ">"), view)


def _w64(view) -> Findings:
    chunks, position = [], 40
    while position + 24 <= view.size:
        name, length = view.unpack(position, "<4s12xQ")
        if length < 24:
            break
        chunks.append((name, position + 24, length - 24))
        position += -(-length // 8) * 8
    return _first_chunk_named(b"data", chunks, view)


def _first_chunk_named(wanted, chunks, view) -> Findings:
    for name, start, length in chunks:
        if name == wanted:
            missing = max(0, start + length - view.size)
            unfilled = missing > 0 and _is_placeholder(length)
            return Findings(missing_bytes=0 if unfilled else missing, is_unfilled=unfilled)
    return Findings()


def _is_placeholder(size):
    return any(limit - _BELOW_LIMIT <= size <= limit + _ABOVE_LIMIT for limit in _LIMITS)


def _chunks(view, position, order):
    """Yields (name, start, length) for each RIFF chunk from `position`; the last may be cut."""
    while position + 8 <= view.size:
        name, length = view.unpack(position, order + "4sI")
        if name == bytes(4):  # zeros, of which there may be millions
            break
        yield name, position + 8, length
        position += 8 + length + length % 2


def _is_chunk_list(view, position, order):
    ends = [start + length for _, start, length in _chunks(view, position, order)]
    return bool(ends) and 0 <= view.size - ends[-1] <= 1
