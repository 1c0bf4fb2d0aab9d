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
        from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, pixel_array
    except ImportError as error:
        raise ValueError("a DICOM file: pip install 'hagan-lite[dicom]'") from error
    ds = pydicom.dcmread(path)
    if "PixelData" not in ds:
        raise ValueError(f"a DICOM file without an image ({ds.get('Modality', 'no modality')})")
    array, shown_as = pixel_array(ds), ds.get("PhotometricInterpretation", "")  # YBR has become RGB
    if colour := shown_as.startswith(("RGB", "YBR", "PALETTE")):
        if shown_as.startswith("PALETTE"):
            array = apply_color_lut(array, ds)
        weights = np.array([0.299, 0.587, 0.114]) / np.iinfo(array.dtype).max
        frames = (array[..., :3] @ weights).reshape(-1, *array.shape[-3:-1])
    else:
        frames = apply_modality_lut(array, ds).reshape(-1, *array.shape[-2:])
        if "VOILUTSequence" in ds:
            frames = apply_voi(frames, ds)
    varied = [f for f in frames.astype(np.float32) if f.min() < f.max()]
    if not varied:
        raise ValueError("all pixels have one value: there is nothing to see")
    about["constant slices, dropped"] += len(frames) - len(varied)
    spacing = ds.get("PixelSpacing") or ds.get("ImagerPixelSpacing") or (1, 1)

    def planes() -> Iterator[np.ndarray]:
        for frame in varied:
            low, high = (0, 1) if colour else _window(ds, frame)
            plane = np.clip((frame - low) / (high - low), 0, 1)
            plane = isotropic(1 - plane if shown_as == "MONOCHROME1" else plane, tuple(map(float, spacing)))
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
