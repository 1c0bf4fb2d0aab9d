"""One image file, or one plane of a volume, to square uint8 pixels; and uint8 to where the networks live."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor


def decode(path: Path, size: int, channels: int) -> np.ndarray:
    """One file -> (C, size, size) uint8: alpha composited on black, grey or RGB, stretched to the square, antialiased.

    16-bit, 32-bit and float images carry no window, so theirs is their own minimum to maximum.
    """
    with Image.open(path) as opened:
        if getattr(opened, "n_frames", 1) > 1:
            raise ValueError(f"{opened.n_frames} pages or frames in one file; save them as one file each")
        bits, inverted, kind = _stored(path, opened)
        if bits > 8 and len(opened.getbands()) > 1:  # Pillow would keep the upper eight bits: often a black picture
            raise ValueError(f"{bits} bits in several channels; save it as grey with 16 bits, or with 8 bits a channel")
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("I", "F") or image.mode.startswith("I;16") or kind != "u":
            values = np.asarray(image)
            if (values.itemsize, kind) in ((1, "i"), (4, "u")) and values.dtype.kind in "iu":  # Pillow has no such mode
                values = values.view(f"{kind}{values.itemsize}")
            values = values.astype(np.float32) * (-1 if inverted else 1)
            if not np.isfinite(values).all():
                raise ValueError("NaN or infinite pixels; replace them, for example with the background's value")
            low, high = float(values.min()), float(values.max())
            image = Image.fromarray(np.uint8(np.round((values - low) / max(high - low, 1e-9) * 255)))
        elif "A" in image.mode or "transparency" in image.info:
            rgba = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
        image = image.convert("L" if channels == 1 else "RGB").resize((size, size), Image.Resampling.BICUBIC)
    array = np.asarray(image)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def _stored(path: Path, opened: Image.Image) -> tuple[int, bool, str]:
    """How a file stores its pixels, where Pillow's mode does not say: (bits a channel, whether 0 is white where Pillow
    leaves that to us, "u", "i" or "f" for unsigned, signed or float numbers)."""
    if opened.format == "PNG":
        with path.open("rb") as file:
            return file.read(25)[24], False, "u"
    if opened.format == "TIFF":
        tags = opened.tag_v2
        bits, kind = max(tags.get(258, (1,))), {2: "i", 3: "f"}.get(max(tags.get(339, (1,))), "u")
        return bits, bits > 8 and tags.get(262) == 0, kind
    return 8, False, "u"


def pad_to_square(plane: np.ndarray, margin: float = 0.06) -> np.ndarray:
    """(H, W) -> (S, S) with zeros around; with a margin, so that the brain does not touch the border."""
    side = round(max(plane.shape) * (1 + margin))
    before = [(side - n) // 2 for n in plane.shape]
    return np.pad(plane, [(b, side - n - b) for b, n in zip(before, plane.shape, strict=True)])


def crop_to_square(plane: np.ndarray) -> np.ndarray:
    """(H, W) -> (S, S) around the centre."""
    side = min(plane.shape)
    start = [(n - side) // 2 for n in plane.shape]
    return plane[start[0] : start[0] + side, start[1] : start[1] + side]


def window_of(values: np.ndarray) -> tuple[float, float]:
    """Which grey value becomes black and which white: the 1st and 99th percentile of all that is not background.

    Background is the lowest value where a tenth of all voxels or more have it: a skull-stripped brain is 85 % zeros,
    and percentiles of zeros would say nothing. Raises ValueError where all values are alike, or none is finite.
    """
    values = values[np.isfinite(values)]
    if values.size:
        background = values == values.min()
        low, high = np.percentile(values[~background] if 0.1 <= background.mean() < 1 else values, (1, 99))
        if high > low:
            return float(low), float(high)
        if values.max() > values.min():  # nearly all is one value: a mask
            return float(values.min()), float(values.max())
    raise ValueError("all voxels have one value, or none is finite: there is nothing to see")


def isotropic(plane: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """(H, W) float with pixels of `spacing` (down, across), any unit -> square pixels of the finer of the two.

    Raises ValueError for a spacing that no scanner has: one more than twenty times the other, zero, or not finite.
    """
    down, across = spacing
    if not (np.isfinite([down, across]).all() and min(spacing) > 0 and max(spacing) <= 20 * min(spacing)):
        raise ValueError(f"pixels of {down} by {across} mm: the header's spacing cannot be right; correct it")
    shape = [round(n * s / min(spacing)) for n, s in zip(plane.shape, spacing, strict=True)]
    if all(abs(a - b) <= 1 for a, b in zip(shape, plane.shape, strict=True)):
        return plane
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize(shape[::-1], Image.Resampling.BICUBIC))


def resize(plane: np.ndarray, size: int) -> np.ndarray:
    """(H, W) float in [0, 1] -> (size, size) uint8, antialiased."""
    image = Image.fromarray(plane.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC)
    return np.uint8(np.clip(np.asarray(image), 0, 1) * 255 + 0.5)


def to_tensor_range(images: np.ndarray) -> np.ndarray:
    """uint8 -> float32 in [-1, 1], where the networks live."""
    return images.astype(np.float32) / 127.5 - 1


def to_image(image: np.ndarray) -> Image.Image:
    """uint8 (1 or 3, H, W) -> a picture in mode L or RGB."""
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


def to_uint8(images: Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> uint8: the one quantisation of the project, round(127.5 (x + 1))."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
