"""Turn an image file or a plane of a volume into square uint8 pixels, and pixels into [-1, 1]."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:  # a machine that trains on ready arrays needs no Pillow
    from PIL import Image


@dataclass(frozen=True)
class Stored:
    """Say how a file stores its pixels, where Pillow's mode does not say."""

    bits: int = 8  # per channel
    inverted: bool = False  # 0 is white, and Pillow leaves that to us
    kind: str = "u"  # unsigned "u", signed "i" or float "f"


def decode(path: Path) -> np.ndarray:
    """Return the pixels of one file, uint8: grey (H, W) or colour (H, W, 3).

    Alpha is composited on black. Images of 16 or 32 bits and float images carry no window, so
    theirs is that of a volume: :func:`window_of`. Raises ValueError with the remedy for several
    pages, deep colours, NaN; what Pillow raises for damage.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as opened:
        if opened.format == "PNG":
            _check_sums(path)
        pages = getattr(opened, "n_frames", 1)
        if pages > 1:
            raise ValueError(f"{pages} pages or frames in one file; save them as one file each")
        stored = _stored(path, opened)
        if stored.bits > 8 and len(opened.getbands()) > 1:
            # Pillow would keep the upper eight bits: often a black picture.
            raise ValueError(
                f"{stored.bits} bits in several channels; "
                "save it as grey with 16 bits, or with 8 bits a channel"
            )
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("I", "F") or image.mode.startswith("I;16") or stored.kind != "u":
            image = _windowed(_values(image, stored))
        elif "A" in image.mode or "transparency" in image.info:
            rgba = image.convert("RGBA")
            black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
            image = Image.alpha_composite(black, rgba)
        return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _check_sums(path: Path) -> None:
    """Raise what Pillow raises where a chunk of a PNG file is not what its checksum says.

    While it decodes Pillow does not look at the sums of pixels.
    """
    from PIL import Image

    with Image.open(path) as opened:
        opened.verify()


def stretch(pixels: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Return uint8 pixels (H, W) or (H, W, 3) as (C, size, size), stretched and antialiased."""
    from PIL import Image

    image = Image.fromarray(pixels).convert("L" if channels == 1 else "RGB")
    array = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC))
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def to_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Return (1 or 3, S, S) uint8 as (C, S, S): colour made grey, or grey repeated."""
    if len(image) == channels:
        return image
    if channels == 3:
        return image.repeat(3, axis=0)
    return np.asarray(to_image(image).convert("L"))[None]


def _values(image: "Image.Image", stored: Stored) -> np.ndarray:
    """Return the pixels (H, W) float32 of a grey image, white above black.

    Raises ValueError for NaN and infinity.
    """
    values = np.asarray(image)
    # Pillow has no mode for int8 and uint32 and gives their bits as uint8 and int32.
    no_mode = (values.itemsize, stored.kind) in ((1, "i"), (4, "u"))
    if no_mode and values.dtype.kind in "iu":
        values = values.view(f"{stored.kind}{values.itemsize}")
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(
            "NaN or infinite pixels; replace them, for example with the background's value"
        )
    return -values if stored.inverted else values


def _windowed(values: np.ndarray) -> "Image.Image":
    """Return values (H, W) as a picture: black and white are those of :func:`window_of`.

    One hot pixel, or a burnt-in marker, would make all else black if it decided what is white.
    """
    from PIL import Image

    low, high = float(values.min()), float(values.max())
    if low < high:
        low, high = window_of(values)
    shown = np.clip((values - low) / max(high - low, 1e-9), 0, 1)
    return Image.fromarray(np.uint8(np.round(shown * 255)))


def _stored(path: Path, opened: "Image.Image") -> Stored:
    """Return how a PNG or TIFF file stores its pixels; other formats have 8 unsigned bits."""
    from PIL import TiffImagePlugin

    if opened.format == "PNG":
        with path.open("rb") as file:
            return Stored(bits=file.read(25)[24])
    if opened.format == "TIFF":
        tags = opened.tag_v2
        bits = max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
        kind = max(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,)))
        white_is_zero = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0
        return Stored(bits, bits > 8 and white_is_zero, {2: "i", 3: "f"}.get(kind, "u"))
    return Stored()


def pad_to_square(plane: np.ndarray, margin: float = 0.06) -> np.ndarray:
    """Return a plane (H, W) as (S, S) with zeros around; `margin` is a share of the longer side."""
    side = round(max(plane.shape) * (1 + margin))
    before = [(side - n) // 2 for n in plane.shape]
    return np.pad(plane, [(b, side - n - b) for b, n in zip(before, plane.shape, strict=True)])


def crop_to_square(plane: np.ndarray) -> np.ndarray:
    """Return the square (S, S) around the centre of a plane (H, W)."""
    side = min(plane.shape)
    start = [(n - side) // 2 for n in plane.shape]
    return plane[start[0] : start[0] + side, start[1] : start[1] + side]


def window_of(values: np.ndarray) -> tuple[float, float]:
    """Return which grey value becomes black and which white.

    They are the 1st and 99th percentile of the anatomy. The background is left out: the lowest
    value, if a tenth of all voxels or more have it. A skull-stripped brain is 85 % zeros, and
    percentiles of zeros would say nothing. Raises ValueError where all values are alike, or none
    is finite.
    """
    values = values[np.isfinite(values)]
    if values.size:
        background = values == values.min()
        anatomy = values[~background] if 0.1 <= background.mean() < 1 else values
        low, high = np.percentile(anatomy, (1, 99))
        if high > low:
            return float(low), float(high)
        if values.max() > values.min():  # nearly all is one value: a mask
            return float(values.min()), float(values.max())
    raise ValueError("all voxels have one value, or none is finite: there is nothing to see")


def isotropic(plane: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Return a plane (H, W) float, resampled to square pixels of the finer `spacing`.

    `spacing` is (down, across) in any unit. Raises ValueError for one that no scanner has: one
    more than twenty times the other, zero, or not finite.
    """
    from PIL import Image

    down, across = spacing
    positive = np.isfinite([down, across]).all() and min(spacing) > 0
    if not positive or max(spacing) > 20 * min(spacing):
        raise ValueError(
            f"pixels of {down} by {across} mm: the header's spacing cannot be right; correct it"
        )
    shape = [round(n * s / min(spacing)) for n, s in zip(plane.shape, spacing, strict=True)]
    if all(abs(a - b) <= 1 for a, b in zip(shape, plane.shape, strict=True)):
        return plane
    image = Image.fromarray(plane.astype(np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BICUBIC))


def resize(plane: np.ndarray, size: int) -> np.ndarray:
    """Return a plane (H, W) float in [0, 1] as (size, size) uint8, antialiased.

    Halves are rounded up, not to even as in `to_uint8`: every committed record's images are.
    """
    from PIL import Image

    image = Image.fromarray(plane.astype(np.float32))
    image = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.uint8(np.clip(np.asarray(image), 0, 1) * 255 + 0.5)


def to_image(image: np.ndarray) -> "Image.Image":
    """Return uint8 pixels (1 or 3, H, W) as a picture in mode L or RGB."""
    from PIL import Image

    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def to_tensor_range(images: np.ndarray) -> np.ndarray:
    """Return uint8 images of any shape as float32 in [-1, 1], the range of the networks."""
    return images.astype(np.float32) / 127.5 - 1


def from_uint8(images: Tensor) -> Tensor:
    """Return uint8 images of any shape as float32 in [-1, 1], on their device."""
    return images.float() / 127.5 - 1


def to_uint8(images: Tensor) -> np.ndarray:
    """Return images of any shape in [-1, 1] as uint8: round(127.5 (x + 1)), values beyond clipped.

    This is the project's one quantisation of what networks draw.
    """
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
