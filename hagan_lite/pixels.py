"""One image file, or one plane of a volume, to square uint8 pixels; and uint8 to where the networks live."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def decode(path: Path, size: int, channels: int) -> np.ndarray:
    """One file -> (C, size, size) uint8: alpha composited on black, grey or RGB, stretched to the square, antialiased.

    16-bit, 32-bit and float images carry no window, so theirs is their own minimum to maximum.
    """
    with Image.open(path) as opened:
        if getattr(opened, "n_frames", 1) > 1:
            raise ValueError(f"{opened.n_frames} pages or frames in one file; save them as one file each")
        image = ImageOps.exif_transpose(opened)
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            values = np.asarray(image, dtype=np.float32)
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


def pad_to_square(plane: np.ndarray) -> np.ndarray:
    """(H, W) -> (S, S) with zeros around."""
    side = round(max(plane.shape) * 1.06)  # a margin, so that the brain does not touch the border
    before = [(side - n) // 2 for n in plane.shape]
    return np.pad(plane, [(b, side - n - b) for b, n in zip(before, plane.shape, strict=True)])


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
