"""PNG files without an image library: a machine that trains needs torch and numpy, and no more."""

import struct
import zlib

import numpy as np

GREY, RGB = 0, 2  # colour types of the PNG specification


def as_png(image: np.ndarray) -> bytes:
    """Return the bytes of a PNG file of uint8 pixels (H, W, 1) or (H, W, 3).

    Raises ValueError for another type or number of channels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3):
        raise ValueError(
            f"{image.dtype} pixels of shape {image.shape}: a PNG is made of uint8 (H, W, 1 or 3)"
        )
    height, width, channels = image.shape
    colour = GREY if channels == 1 else RGB
    # 8 bits a channel; the only compression and filter method there is; not interlaced.
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    unfiltered = np.zeros((height, 1), np.uint8)  # each row begins with the number of its filter
    rows = np.concatenate([unfiltered, image.reshape(height, -1)], axis=1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk: its length, its name, its data, and the checksum of the last two."""
    checksum = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)
