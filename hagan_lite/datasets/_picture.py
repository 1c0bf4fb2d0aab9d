"""A decoded picture at its own resolution: what is fingerprinted, and what becomes a square.

Every reader ends here, so that a fingerprint depends on what was decoded and not on the size or the
number of channels that somebody asked for.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from hagan_lite.datasets.pixels import resize, stretch, to_channels

FLAT = 8
"""A picture whose grey levels span fewer than so many of 256 shows nothing. Noise of a JPEG file
around one value spans three or four."""


@dataclass(frozen=True)
class Picture:
    """Hold pixels (H, W) or (H, W, 3): uint8 of a picture file, or float in [0, 1] of a scan.

    A picture file is stretched to the square; a scan's plane is a square already.
    """

    pixels: np.ndarray

    def square(self, size: int, channels: int) -> np.ndarray:
        """Return the picture as (C, size, size) uint8, antialiased, with C = `channels`."""
        if self.pixels.dtype == np.uint8:
            return stretch(self.pixels, size, channels)
        planes = np.atleast_3d(self.pixels).transpose(2, 0, 1)  # (C, H, W)
        return to_channels(np.stack([resize(plane, size) for plane in planes]), channels)

    def digest(self) -> bytes:
        """Return a checksum of the shape and of the pixels in 256 levels."""
        levels = self._levels()
        return hashlib.sha256(repr(levels.shape).encode() + levels.tobytes()).digest()

    def shows_nothing(self) -> bool:
        """Return whether nearly all pixels have nearly one value; one in a thousand may differ."""
        low, high = np.percentile(self._levels(), (0.1, 99.9), axis=(0, 1))  # of each channel
        return bool(np.all(high - low < FLAT))

    def _levels(self) -> np.ndarray:
        if self.pixels.dtype == np.uint8:
            return self.pixels
        return np.uint8(np.clip(self.pixels, 0, 1) * 255 + 0.5)
