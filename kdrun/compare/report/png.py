"""A PNG encoder without an image library."""

import struct
import zlib

import numpy as np

_COLOR_TYPES = {1: 0, 3: 2}  # channels -> PNG's color type: grey, RGB


def png(pixels: np.ndarray) -> bytes:
    """Return the bytes of a PNG file.

    Args:
        pixels: (H, W, C) uint8 with 1 or 3 channels.
    """
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)  # 0: the row is not filtered
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOR_TYPES[channels], 0, 0, 0)
    chunks = [
        _chunk(b"IHDR", header),
        _chunk(b"IDAT", zlib.compress(rows, 9)),
        _chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
