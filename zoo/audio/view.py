"""A file as a decoder is to see it: parts left out, bytes replaced, another length claimed."""

import io
import os
import struct
from collections.abc import Sequence


class FileView(io.RawIOBase):
    """Shows parts of a file, one after the other, as if they were a file.

    libsndfile takes tags and junk for damage, some headers literally, and the size of an MP3 file
    for its length; what it is shown is therefore not always what is stored.

    Attributes:
        size: number of bytes shown.
        stored_size: number of bytes in the file.
        parts: what is shown, as given to `show`.
        patches: position -> bytes shown there in place of the stored ones.
        claimed_size: the size that the end of the file is said to be at; beyond the true one, zeros
            are read after a seek there, and nothing in sequence. None for the true size.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike):
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        self.stored_size = os.fstat(self._file.fileno()).st_size
        self.patches: dict[int, bytes] = {}
        self.claimed_size: int | None = None
        self._position = 0
        self.show([(0, self.stored_size)])

    def show(self, parts: Sequence[tuple[int, int] | bytes]) -> None:
        """Sets what is shown: (start, length) of stored bytes, or bytes that are not stored."""
        self.parts = list(parts)
        lengths = [len(part) if isinstance(part, bytes) else part[1] for part in self.parts]
        self._starts = [sum(lengths[:i]) for i in range(len(lengths) + 1)]
        self.size = self._starts[-1]
        self._part = 0

    def close(self) -> None:
        self._file.close()
        super().close()

    def fileno(self) -> int:
        return self._file.fileno()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        end = self.size if self.claimed_size is None else self.claimed_size
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: end}[whence]
        self._position = max(0, base + offset)
        self._part = 0
        return self._position

    def readinto(self, buffer) -> int:
        view = memoryview(buffer).cast("B")
        if self.claimed_size is not None and self._position > self.size:
            view[:] = bytes(len(view))
            self._position += len(view)
            return len(view)
        start, done = self._position, 0
        while done < len(view) and (piece := self._stored(len(view) - done)):
            view[done : done + len(piece)] = piece
            done += len(piece)
            self._position += len(piece)
        for position, patch in self.patches.items():
            for index, byte in enumerate(patch, position - start):
                if 0 <= index < done:
                    view[index] = byte
        return done

    def unpack(self, position: int, layout: str) -> tuple:
        """Returns the fields at `position`; bytes past the end of the file read as zero."""
        length = struct.calcsize(layout)
        self.seek(position)
        return struct.unpack(layout, self.read(length).ljust(length, b"\0"))

    def _stored(self, length):
        """Returns up to `length` bytes at the current position, of one part, without patches."""
        while self._part < len(self.parts) and self._starts[self._part + 1] <= self._position:
            self._part += 1
        if self._part == len(self.parts):
            return b""
        part, offset = self.parts[self._part], self._position - self._starts[self._part]
        if isinstance(part, bytes):
            return part[offset : offset + length]
        self._file.seek(part[0] + offset)
        return self._file.read(min(length, part[1] - offset))
