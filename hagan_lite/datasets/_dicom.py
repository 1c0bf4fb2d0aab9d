"""Turn DICOM files into pictures as a viewer shows them: windowed, white on black."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hagan_lite.datasets.pixels import isotropic, pad_to_square, resize, window_of


def slices(path: Path, size: int, notes: Counter[str]) -> tuple[str, Iterator[np.ndarray]]:
    """Return (PatientID or "", planes (size, size) uint8): one for each frame but constant ones.

    Adds to `notes` what a user should know. Raises ValueError where pydicom is not installed or the
    file has no image; what pydicom raises for damage.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ValueError("a DICOM file: pip install 'hagan-lite[dicom]'") from error
    ds = pydicom.dcmread(path)
    if "PixelData" not in ds:
        raise ValueError("a DICOM file without an image")
    stored = _frames(ds)
    chosen = [i for i, frame in enumerate(stored) if frame.min() < frame.max()]
    if not chosen:
        raise ValueError("all pixels have one value: there is nothing to see")
    planes = [resize(pad_to_square(_plane(stored[i], ds, i), 0), size) for i in chosen]
    notes["constant slices, dropped"] += len(stored) - len(chosen)
    return str(ds.get("PatientID") or ""), iter(planes)


def _frames(ds) -> np.ndarray:
    """Return a file's frames (N, H, W): stored values, or colours as grey in [0, 1]."""
    from pydicom.pixels import apply_color_lut, pixel_array

    array = pixel_array(ds)
    if not _colour(ds):
        return array.reshape(-1, *array.shape[-2:])
    if ds.PhotometricInterpretation.startswith("PALETTE"):
        array = apply_color_lut(array, ds)
    weights = np.array([0.299, 0.587, 0.114]) / np.iinfo(array.dtype).max
    return (array[..., :3] @ weights).reshape(-1, *array.shape[-3:-1])


def _colour(ds) -> bool:
    """Return whether a file has colours; pydicom turns YBR into RGB."""
    return ds.get("PhotometricInterpretation", "").startswith(("RGB", "YBR", "PALETTE"))


def _plane(frame: np.ndarray, ds, i: int) -> np.ndarray:
    """Return frame i (H, W) in [0, 1]: windowed, white on black, with square pixels."""
    from pydicom.pixels import apply_modality_lut, apply_voi

    of = _attributes(ds, i)
    if _colour(ds):
        plane = frame.astype(np.float32).clip(0, 1)
    else:
        values = apply_voi(apply_modality_lut(frame, of), of).astype(np.float32)
        low, high = _window(of, values)
        plane = np.clip((values - low) / (high - low), 0, 1)
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":  # 0 is white
        plane = 1 - plane
    return isotropic(plane, _spacing(of))


def _spacing(of) -> tuple[float, float]:
    """Return the pixels' height and width in mm, or their ratio; 1 to 1 where nothing is said."""
    for name in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        if of.get(name):
            down, across = map(float, of.get(name))
            return down, across
    return 1.0, 1.0


def _attributes(ds, i: int):
    """Return a Dataset of what frame i is shown by (PS3.3, C.7.6.16).

    The frame's own functional groups count most, then the shared ones, then the file.
    """
    import pydicom

    attributes = pydicom.Dataset()
    keys = (
        "PixelSpacing",
        "ImagerPixelSpacing",
        "PixelAspectRatio",
        "WindowCenter",
        "WindowWidth",
        "RescaleSlope",
    )
    keys += (
        "RescaleIntercept",
        "ModalityLUTSequence",
        "VOILUTSequence",
        "BitsStored",
        "PixelRepresentation",
    )
    shared = ds.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
    own = (ds.get("PerFrameFunctionalGroupsSequence") or [])[i : i + 1]
    for place in (ds, shared[0], *own):  # the later wins
        groups = [place[name][0] for name in _GROUPS if place.get(name)]
        for level in (place, *groups):
            for key in keys:
                if level.get(key) is not None:
                    attributes[key] = level[key]
    return attributes


_GROUPS = ("PixelMeasuresSequence", "FrameVOILUTSequence", "PixelValueTransformationSequence")


def _window(of, frame: np.ndarray) -> tuple[float, float]:
    """Return which value of a frame (H, W) becomes black and which white.

    The frame's own window counts, the first where it has several (DICOM PS3.3, C.11.2.1.2); else
    its percentiles.
    """
    centre = float(np.atleast_1d(of.get("WindowCenter") or 0.0)[0])
    width = float(np.atleast_1d(of.get("WindowWidth") or 0.0)[0])
    if "VOILUTSequence" not in of and width > 1 and np.isfinite((centre, width)).all():
        return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return window_of(frame)
