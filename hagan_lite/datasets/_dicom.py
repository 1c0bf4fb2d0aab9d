"""DICOM files to pictures as a viewer shows them: rescaled, windowed, white on black, square pixels."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hagan_lite.pixels import isotropic, pad_to_square, resize, window_of


def slices(path: Path, size: int, about: Counter[str]) -> tuple[str, Iterator[np.ndarray]]:
    """(PatientID or "", planes (size, size) uint8), one for each frame of the file that is not constant.

    Counts into `about` what a user should know. Raises ValueError where pydicom is not installed or the file has no
    image; what pydicom raises for damage.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, apply_voi, convert_color_space
    except ImportError as error:
        raise ValueError("a DICOM file: pip install 'hagan-lite[dicom]'") from error
    ds = pydicom.dcmread(path)
    if "PixelData" not in ds:
        raise ValueError(f"a DICOM file without an image ({ds.get('Modality', 'no modality')})")
    array = ds.pixel_array
    if ds.get("SamplesPerPixel", 1) == 3:
        rgb = array
        if ds.PhotometricInterpretation.startswith("YBR"):
            rgb = convert_color_space(array, ds.PhotometricInterpretation, "RGB", per_frame=True)
        frames = (rgb @ np.array([0.299, 0.587, 0.114])).reshape(-1, *array.shape[-3:-1])
    else:
        frames = apply_modality_lut(array, ds).reshape(-1, *array.shape[-2:])
        if "VOILUTSequence" in ds:
            frames = apply_voi(frames, ds)
    varied = [f for f in frames.astype(np.float32) if f.min() < f.max()]
    if not varied:
        raise ValueError("all pixels have one value: there is nothing to see")
    about["constant slices, dropped"] += len(frames) - len(varied)
    spacing = ds.get("PixelSpacing") or ds.get("ImagerPixelSpacing") or (1, 1)
    inverted = ds.get("PhotometricInterpretation") == "MONOCHROME1"

    def planes() -> Iterator[np.ndarray]:
        for frame in varied:
            low, high = _window(ds, frame)
            plane = np.clip((frame - low) / (high - low), 0, 1)
            plane = isotropic(1 - plane if inverted else plane, tuple(map(float, spacing)))
            yield resize(pad_to_square(plane, 0), size)

    return str(ds.get("PatientID") or ""), planes()


def _window(ds, frame: np.ndarray) -> tuple[float, float]:
    """The file's own window, its first where it has several (DICOM PS3.3, C.11.2.1.2: black below, white above); else
    percentiles of the frame."""
    first = [np.atleast_1d(ds.get(name) or 0.0)[0] for name in ("WindowCenter", "WindowWidth")]
    centre, width = map(float, first)
    if width > 1 and "VOILUTSequence" not in ds:
        return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return window_of(frame)
