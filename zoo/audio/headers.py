"""What the headers of audio files say about completeness, where libsndfile keeps silent."""

import io
import os
import struct
from typing import BinaryIO

# Written as the data size by programs that cannot seek back: ffmpeg, SoX, arecord and recorders
# that were stopped before they closed the file.
_UNKNOWN_SIZES = (0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WAV_MAGICS = (b"RIFF", b"RIFX", b"RF64")
_LARGEST_OGG_PAGE = 27 + 255 + 255 * 255


class PatchedFile(io.FileIO):
    """A file opened for reading that shows other bytes than the stored ones at one place.

    An ID3 tag before a WAV or Ogg file is left out. With one, libsndfile loses the end of a WAV
    file that it reads through callbacks, and refuses an Ogg file.
    """

    def __init__(self, path: str | os.PathLike):
        self._start = 0
        super().__init__(path)
        self.patch_position = 0
        self.patch = b""
        start = _id3_size(self)
        self.seek(start)
        if self.read(4) in (*_WAV_MAGICS, b"OggS"):
            self._start = start
        self.seek(0)

    @property
    def size(self) -> int:
        return os.fstat(self.fileno()).st_size - self._start

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET:
            offset += self._start
        return super().seek(offset, whence) - self._start

    def tell(self) -> int:
        return super().tell() - self._start

    def readinto(self, buffer) -> int:
        start = self.tell()
        count = super().readinto(buffer)
        view = memoryview(buffer).cast("B")
        for index, byte in enumerate(self.patch, self.patch_position - start):
            if 0 <= index < count:
                view[index] = byte
        return count


def wav_missing_bytes(file: PatchedFile) -> int:
    """Returns how many bytes of a WAV file's audio are missing; libsndfile ignores that they are.

    A data size that was never filled in means "up to the end of the file". libsndfile takes 0
    literally, so that one is patched. Other formats give 0.
    """
    size = file.size
    magic, riff_size, kind = _unpack(file, 0, "<4sI4s")
    if magic not in _WAV_MAGICS or kind != b"WAVE":
        return 0
    order = ">" if magic == b"RIFX" else "<"
    chunks = list(_chunks(file, 12, size, order))
    data = next(((start, length) for name, start, length in chunks if name == b"data"), None)
    if data is None:
        return 0
    start, length = data
    if magic == b"RF64" and length == 0xFFFFFFFF and chunks[0][0] == b"ds64":
        length = _unpack(file, chunks[0][1], "<QQ")[1]
    if length == 0 and start < size and not _is_chunk_list(file, start, size, order):
        file.patch_position, file.patch = start - 4, b"\xff\xff\xff\xff"
    unknown = length in _UNKNOWN_SIZES or (magic != b"RF64" and riff_size in (0, 0xFFFFFFFF))
    return 0 if unknown else max(0, start + length - size)


def ogg_is_cut(file: PatchedFile) -> bool:
    """Returns whether the last page of an Ogg file runs past the end of the file."""
    file.seek(max(0, file.size - _LARGEST_OGG_PAGE))
    tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0:
        return False
    page = tail[start:]
    if len(page) < 27:
        return True
    lacing = page[27 : 27 + page[26]]
    return 27 + page[26] + sum(lacing) > len(page)


def mp3_first_frame(file: BinaryIO) -> bytes:
    """Returns the beginning of an MP3 file's first frame, where its length may be stated."""
    file.seek(_id3_size(file))
    start = file.read(4096)
    return start[max(0, start.find(b"\xff")) :][:200]


def _id3_size(file: BinaryIO) -> int:
    """Returns the size of the ID3v2 tag that a file begins with, 0 without one."""
    file.seek(0)
    head = file.read(10)
    # The tag gives its size, without these ten bytes, in four bytes of seven bits.
    size = sum(byte << 7 * (3 - i) for i, byte in enumerate(head[6:]))
    return 10 + size if head[:3] == b"ID3" else 0


def mp3_states_length(first_frame: bytes) -> bool:
    """Returns whether an MP3 file states its length; otherwise decoders guess it."""
    return b"Xing" in first_frame or b"Info" in first_frame


def mp3_holds_frames(data: bytes, first_frame: bytes) -> bool:
    """Returns whether `data` is MP3 audio rather than a tag or a picture.

    A frame takes at most 1,441 bytes and begins with the two bytes that begin the first frame;
    other data holds them once in 65,536 bytes, if at all.
    """
    return data.count(first_frame[:2]) > len(data) / 4000


def _chunks(file, position, size, order):
    """Yields (name, start, length) for each RIFF chunk from `position`; the last may be cut."""
    while position + 8 <= size:
        name, length = _unpack(file, position, order + "4sI")
        yield name, position + 8, length
        position += 8 + length + length % 2


def _is_chunk_list(file, position, size, order):
    ends = [start + length for _, start, length in _chunks(file, position, size, order)]
    return bool(ends) and 0 <= size - ends[-1] <= 1


def _unpack(file, position, layout):
    """Returns the fields at `position`; bytes past the end of the file read as zero."""
    length = struct.calcsize(layout)
    file.seek(position)
    return struct.unpack(layout, file.read(length).ljust(length, b"\0"))
