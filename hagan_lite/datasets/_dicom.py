"""DICOM files to pictures as a viewer shows them: rescaled, windowed, white on black, square pixels."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hagan_lite.datasets.pixels import isotropic, pad_to_square, resize, window_of


def slices(path: Path, size: int, about: Counter[str]) -> tuple[str, Iterator[np.ndarray]]:
    """(PatientID or "", planes (size, size) uint8), one for each frame of the file that is not constant.

    Counts into `about` what a user should know. Raises ValueError where pydicom is not installed or the file has no
    image; what pydicom raises for damage.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, pixel_array
    except ImportError as error:
        raise ValueError("a DICOM file: pip install 'hagan-lite[dicom]'") from error
    ds = pydicom.dcmread(path)
    if "PixelData" not in ds:
        raise ValueError("a DICOM file without an image")
    array, shown_as = pixel_array(ds), ds.get("PhotometricInterpretation", "")  # YBR has become RGB
    if colour := shown_as.startswith(("RGB", "YBR", "PALETTE")):
        if shown_as.startswith("PALETTE"):
            array = apply_color_lut(array, ds)
        weights = np.array([0.299, 0.587, 0.114]) / np.iinfo(array.dtype).max
        stored = (array[..., :3] @ weights).reshape(-1, *array.shape[-3:-1])
    else:
        stored = array.reshape(-1, *array.shape[-2:])
    frames = []
    for i, frame in enumerate(stored):
        if frame.min() < frame.max():
            of = _attributes(ds, i)
            rescaled = frame if colour else apply_voi(apply_modality_lut(frame, of), of)
            frames.append((rescaled.astype(np.float32), of))
    if not frames:
        raise ValueError("all pixels have one value: there is nothing to see")
    about["constant slices, dropped"] += len(stored) - len(frames)

    def planes() -> Iterator[np.ndarray]:
        for frame, of in frames:
            low, high = (0, 1) if colour else _window(of, frame)
            plane = np.clip((frame - low) / (high - low), 0, 1)
            spacing = of.get("PixelSpacing") or of.get("ImagerPixelSpacing") or of.get("PixelAspectRatio") or (1, 1)
            plane = isotropic(1 - plane if shown_as == "MONOCHROME1" else plane, tuple(map(float, spacing)))
            yield resize(pad_to_square(plane, 0), size)

    return str(ds.get("PatientID") or ""), planes()


def _attributes(ds, i: int):
    """What frame i is shown by: its own functional groups, else the shared ones, else the file (PS3.3, C.7.6.16)."""
    import pydicom

    found = pydicom.Dataset()
    keys = ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio", "WindowCenter", "WindowWidth", "RescaleSlope")
    keys += ("RescaleIntercept", "ModalityLUTSequence", "VOILUTSequence", "BitsStored", "PixelRepresentation")
    shared = ds.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]
    own = (ds.get("PerFrameFunctionalGroupsSequence") or [])[i : i + 1]
    for place in (ds, shared[0], *own):  # the later wins
        for level in (place, *(s[0] for s in (place.get(name) for name in _GROUPS) if s)):
            for key in keys:
                if level.get(key) is not None:
                    found[key] = level[key]
    return found


_GROUPS = ("PixelMeasuresSequence", "FrameVOILUTSequence", "PixelValueTransformationSequence")


def _window(of, frame: np.ndarray) -> tuple[float, float]:
    """The frame's own window, the first where it has several (DICOM PS3.3, C.11.2.1.2: black below, white above); else
    its percentiles."""
    first = [np.atleast_1d(of.get(name) or 0.0)[0] for name in ("WindowCenter", "WindowWidth")]
    centre, width = map(float, first)
    if "VOILUTSequence" not in of and width > 1 and np.isfinite((centre, width)).all():
        return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return window_of(frame)
