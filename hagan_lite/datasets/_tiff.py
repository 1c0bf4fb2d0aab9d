"""Read slices of MRI that lie in one TIFF file each: one window for all of an examination."""

import contextlib
import functools
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from hagan_lite.datasets.pixels import pad_to_square, window_of


class Series:
    """Hold the files of one examination: grey levels are comparable within it and not beyond.

    Those of files with another number of bits are not: each kind of pixel has a window of its own.
    """

    def __init__(self, files: Sequence[Path]):
        self.files = tuple(files)

    @functools.cached_property
    def grey_windows(self) -> dict[np.dtype, tuple[float, float]]:
        """Return which grey value becomes black and which white, for each kind of pixel.

        They are percentiles over all files of that kind. Files that cannot be read do not count;
        each is reported when its own turn comes.
        """
        planes = defaultdict(list)
        for path in self.files:
            try:
                plane = read_plane(path)
            except (ValueError, OSError):
                continue
            planes[plane.dtype].append(plane.ravel())
        return {kind: window_of(np.concatenate(of_kind)) for kind, of_kind in planes.items()}


def slices(path: Path, series: Series, notes: Counter[str]) -> Iterator[np.ndarray]:
    """Yield the slice in one file as a plane (S, S) in [0, 1]; nothing if it shows nothing.

    Adds dropped slices to `notes`. Raises ValueError or OSError for a file that cannot be used.
    """
    plane = read_plane(path)
    if plane.min() < plane.max():
        low, high = series.grey_windows[plane.dtype]
        if len(series.grey_windows) > 1:
            notes["slices of examinations whose files differ in bits, windowed by kind"] += 1
        shown = np.clip((plane.astype(np.float32) - low) / (high - low), 0, 1)
        if np.ptp(np.uint8(shown * 255 + 0.5)) > 0:
            yield pad_to_square(shown, 0)
            return
    notes["constant slices, dropped"] += 1


def read_plane(path: Path) -> np.ndarray:
    """Return the FLAIR channel (H, W) of a TIFF: its only channel, or the middle one of three.

    Raises ValueError with the remedy for another number of channels or pages, colours of 16 bits,
    and damage.
    """
    with _damage_named():
        channels, bits = _stored(path)
    if channels not in (1, 3):
        raise ValueError(
            f"{channels} channels; a slice has one, or three with FLAIR in the middle; "
            "save FLAIR alone as grey"
        )
    if channels == 3 and bits > 8:
        raise ValueError(
            f"three channels of {bits} bits; save 8 bits a channel, or FLAIR alone as grey"
        )
    with _damage_named(), Image.open(path) as image:
        pages = getattr(image, "n_frames", 1)
        mode = image.mode
        plane = np.asarray(image)
    if pages > 1:
        raise ValueError(f"{pages} pages in one file; save each slice as a file of its own")
    if mode == "P":
        raise ValueError("a palette of colours; save FLAIR as grey, or the three channels as RGB")
    if not np.isfinite(plane).all():
        raise ValueError(
            "NaN or infinite pixels; replace them, for example with the background's value"
        )
    return plane[..., 1] if channels == 3 else plane


def _stored(path: Path) -> tuple[int, int]:
    """Return (channels, bits per channel) of the first page, also where Pillow lacks the mode."""
    with path.open("rb") as file:
        start = file.read(8)
        if 43 in start[2:4]:  # BigTIFF has a longer header
            start += file.read(8)
        header = TiffImagePlugin.ImageFileDirectory_v2(start)
        file.seek(header.next)
        header.load(file)
        channels = header.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
        return channels, max(header.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))


@contextlib.contextmanager
def _damage_named() -> Iterator[None]:
    """Turn the many exceptions that Pillow raises for damage into one ValueError with a remedy."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        if getattr(error, "errno", None) is not None:  # the disk or the system failed, not the file
            raise
        raise ValueError(
            f"the TIFF file is damaged ({error}); copy it again from where you have it"
        ) from error
