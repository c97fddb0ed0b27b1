"""Ogg pages with right checksums, so that damage reaches what lies behind the checksum."""

import random
import struct


def pages(data: bytearray) -> list[tuple[int, int]]:
    """Returns the start and end of each page; the last may be cut."""
    found, start = [], 0
    while data[start : start + 4] == b"OggS" and start + 27 <= len(data):
        segments = data[start + 26]
        lacing = data[start + 27 : start + 27 + segments]
        end = start + 27 + segments + sum(lacing)
        found.append((start, min(end, len(data))))
        start = end
    return found


def resealed(data: bytearray, *, serial: int | None = None) -> bytearray:
    """Returns the pages with right checksums, and with another serial number where one is given."""
    for start, end in pages(data):
        if serial is not None:
            struct.pack_into("<I", data, start + 14, serial)
        struct.pack_into("<I", data, start + 22, 0)
        struct.pack_into("<I", data, start + 22, _checksum(data[start:end]))
    return data


def damaged(rng: random.Random, data: bytearray) -> bytearray:
    """Damages a header field or a byte of a page, or the order of the pages."""
    found = pages(data)
    start, end = rng.choice(found) if found else (0, len(data))
    kind = rng.choice(
        ("position", "position", "flags", "serial", "number", "byte", "drop", "twice")
    )
    if kind == "position":
        position = rng.choice((0, 1, 2**31, 2**62, 2**63 - 1, -1, -(2**63), 12_345))
        struct.pack_into("<q", data, start + 6, position)
    elif kind == "flags":
        data[start + 5] = rng.randrange(8)
    elif kind in ("serial", "number"):
        offset = 14 if kind == "serial" else 18
        struct.pack_into("<I", data, start + offset, rng.choice((0, 7, 2**32 - 1)))
    elif kind == "byte":
        data[rng.randrange(min(start + 27, end - 1), end)] = rng.randrange(256)
    elif kind == "drop":
        del data[start:end]
    else:
        data[start:start] = data[start:end]
    return resealed(data)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE = _table()


def _checksum(page: bytearray) -> int:
    value = 0
    for byte in page:
        value = ((value << 8) & 0xFFFFFFFF) ^ _TABLE[(value >> 24) ^ byte]
    return value
