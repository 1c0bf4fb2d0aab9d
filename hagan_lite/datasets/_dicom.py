"""Turn DICOM files into pictures as a viewer shows them: windowed, white on black, frame by frame.

pydicom decodes, rescales and applies lookup tables; what a file says amiss is mended here.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hagan_lite.datasets._dicom_kinds import check_is_a_picture, is_overview, is_report
from hagan_lite.datasets._people import Owner
from hagan_lite.datasets._picture import Picture
from hagan_lite.datasets.pixels import isotropic, pad_to_square, window_of

logging.getLogger("pydicom").setLevel(logging.ERROR)  # what it warns of names no file
WINDOW_SHOWS_NOTHING = "DICOM frames whose own window shows nothing: their percentiles were used"
BURNED_IN = (
    "DICOM files with text in their pixels (BurnedInAnnotation), which may name the patient: "
    "look at them before you train or share"
)
SLOPE_OF_ZERO = "DICOM frames whose rescaling makes all values one: stored values were used"


def slices(path: Path, notes: Counter[str]) -> tuple[Owner, Iterator[np.ndarray]]:
    """Return (whose it is, planes in [0, 1]): one for each frame but constant ones.

    A plane is (S, S), or (S, S, 3) in colour. One frame is decoded at a time. Adds to `notes` what
    a user should know. Raises ValueError where pydicom is not installed or the file holds no
    picture of a patient; what pydicom raises for damage.
    """
    ds = _read(path)
    check_is_a_picture(ds)
    owner = _owner(ds)
    if is_overview(ds):
        notes["DICOM localizers and mosaics (ImageType), left out"] += 1
        return owner, iter(())
    if is_report(ds):
        notes["DICOM screens, dose sheets and reports (ImageType), left out"] += 1
        return owner, iter(())
    if str(ds.get("BurnedInAnnotation") or "").strip().upper() == "YES":
        notes[BURNED_IN] += 1
    return owner, _planes(ds, notes)


def _owner(ds) -> Owner:
    """Return what a file says of whose it is."""
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
    said = [str(ds.get(name) or "").strip() for name in ("PatientID", *uids)]
    return Owner(True, said[0], next(filter(None, said[1:]), ""))


def _read(path: Path):
    """Return a file's Dataset, with a transfer syntax; old files have neither preamble nor that.

    Raises ValueError for what is no DICOM file.
    """
    try:
        import pydicom
    except ImportError as error:
        raise ValueError("a DICOM file: pip install 'hagan-lite[dicom]'") from error
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    ds = pydicom.dcmread(path, force=True)
    if "SOPClassUID" not in ds and "Rows" not in ds:
        if getattr(ds, "preamble", None):
            raise ValueError("a DICOM file without an image (no SOP class)")
        raise ValueError("no DICOM file, whatever its name says; delete it or copy it again")
    if not getattr(ds, "file_meta", None):
        ds.file_meta = pydicom.dataset.FileMetaDataset()
    if "TransferSyntaxUID" not in ds.file_meta:
        implicit, little = ds.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return ds


def _planes(ds, notes: Counter[str]) -> Iterator[np.ndarray]:
    """Yield a plane (S, S) or (S, S, 3) in [0, 1] for each frame that shows something.

    Raises ValueError after the last frame where none does.
    """
    from pydicom.pixels import iter_pixels

    count, empty = 0, 0
    of = _attributes(ds, 0)
    own_attributes = bool(ds.get("PerFrameFunctionalGroupsSequence"))
    for i, frame in enumerate(iter_pixels(ds)):
        if own_attributes and i:
            of = _attributes(ds, i)
        count += 1
        plane = _colours(frame, ds) if _has_colour(ds) else _grey(frame, of, ds, notes)
        if plane is None or Picture(plane).shows_nothing():
            empty += 1
            continue
        yield _square(plane, _spacing(of))
    if empty == count:
        raise ValueError("all pixels have nearly one value: there is nothing to see")
    notes["constant slices, dropped"] += empty


def _has_colour(ds) -> bool:
    """Return whether a file has colours; pydicom turns YBR into RGB."""
    return ds.get("PhotometricInterpretation", "").startswith(("RGB", "YBR", "PALETTE"))


def _colours(frame: np.ndarray, ds) -> np.ndarray:
    """Return a frame's colours (H, W, 3) in [0, 1]."""
    from pydicom.pixels import apply_color_lut

    top = 2 ** int(ds.get("BitsStored") or 8) - 1
    if ds.PhotometricInterpretation.startswith("PALETTE"):
        frame = apply_color_lut(frame, ds)
        top = np.iinfo(frame.dtype).max
    return np.clip(frame[..., :3].astype(np.float32) / top, 0, 1)


def _grey(frame: np.ndarray, of, ds, notes: Counter[str]) -> np.ndarray | None:
    """Return a frame (H, W) of stored values in [0, 1], white on black; None if it is constant.

    Padding is black. Adds to `notes` where the file's own values had to be overruled.
    """
    outside = _padding(frame, of) | ~np.isfinite(frame)
    inside = ~outside
    if not inside.any() or np.ptp(frame[inside]) == 0:
        return None
    values = _rescaled(np.where(outside, frame[inside].min(), frame), of)
    if np.ptp(values[inside]) == 0:
        notes[SLOPE_OF_ZERO] += 1
        values, plane = np.where(outside, 0, frame).astype(np.float32), None
    else:
        plane = _by_table(values, of)
        plane = _by_window(values, of) if plane is None else plane
        if plane is not None and Picture(plane[inside][None]).shows_nothing():
            notes[WINDOW_SHOWS_NOTHING] += 1
            plane = None
    if plane is None:
        low, high = window_of(values[inside])
        plane = np.clip((values - low) / (high - low), 0, 1)
    if ds.get("PhotometricInterpretation") == "MONOCHROME1":  # 0 is white
        plane = 1 - plane
    return np.where(outside, 0, plane).astype(np.float32)


def _padding(frame: np.ndarray, of) -> np.ndarray:
    """Return which pixels of a frame (H, W) hold PixelPaddingValue, or lie in its range (bool).

    Both numbers are often written signed where pixels are not, and the other way round.
    """
    first = of.get("PixelPaddingValue")
    if not isinstance(first, int):
        return np.zeros(frame.shape, bool)
    last = of.get("PixelPaddingRangeLimit")
    ends = [first, last if isinstance(last, int) else first]
    if frame.dtype.kind in "iu":
        unsigned = np.array([end % 2 ** (8 * frame.itemsize) for end in ends])
        ends = unsigned.astype(f"u{frame.itemsize}").view(frame.dtype).tolist()
    return (frame >= min(ends)) & (frame <= max(ends))


def _rescaled(frame: np.ndarray, of) -> np.ndarray:
    """Return stored values (H, W) after the Modality LUT, or after slope and intercept.

    A slope that is missing is 1, an intercept that is missing 0.
    """
    from pydicom.pixels import apply_modality_lut

    if of.get("ModalityLUTSequence"):
        return apply_modality_lut(frame, of).astype(np.float32)
    slope, intercept = _number(of, "RescaleSlope"), _number(of, "RescaleIntercept")
    values = frame.astype(np.float64) * (1 if slope is None else slope)
    return (values + (intercept or 0)).astype(np.float32)


def _by_table(values: np.ndarray, of) -> np.ndarray | None:
    """Return values (H, W) after the first VOI LUT, in [0, 1]; None where there is none."""
    from pydicom.pixels import apply_voi

    if not of.get("VOILUTSequence"):
        return None
    item = of.VOILUTSequence[0]
    if item.get("LUTData") is None or item.get("LUTDescriptor") is None:
        return None
    entries, first, _ = item.LUTDescriptor
    entries = entries or 2**16
    if first > 2**15 and values.min() < 0:  # a negative number that was read without its sign
        first -= 2**16
        item.LUTDescriptor = [item.LUTDescriptor[0], first, item.LUTDescriptor[2]]
    inputs = np.rint(values).clip(first, first + entries - 1).astype(np.int32)
    table = apply_voi(np.arange(first, first + entries, dtype=np.int32), of)
    low, high = float(table.min()), float(table.max())
    return (apply_voi(inputs, of).astype(np.float32) - low) / max(high - low, 1)


def _by_window(values: np.ndarray, of) -> np.ndarray | None:
    """Return values (H, W) in [0, 1] by the first window (PS3.3, C.11.2.1.2); None without one.

    pydicom's apply_windowing answers in stored values, whose range float pixels do not have.
    """
    centre, width = _number(of, "WindowCenter"), _number(of, "WindowWidth")
    function = str(of.get("VOILUTFunction") or "LINEAR").upper()
    if centre is None or width is None or width <= (1 if function == "LINEAR" else 0):
        return None
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -60, 60)))
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _number(of, name: str) -> float | None:
    """Return an attribute's value, the first of several, or None where it is no finite number."""
    value = of.get(name)
    if value is None or value == "":
        return None
    number = float(np.atleast_1d(value)[0])
    return number if np.isfinite(number) else None


def _square(plane: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Return a plane (H, W) or (H, W, 3) with square pixels, padded to (S, S) or (S, S, 3)."""
    if plane.ndim == 2:
        return pad_to_square(isotropic(plane, spacing), 0)
    return np.stack([_square(channel, spacing) for channel in plane.transpose(2, 0, 1)], axis=-1)


def _spacing(of) -> tuple[float, float]:
    """Return the pixels' height and width in mm, or their ratio; 1 to 1 where nothing is said.

    One value alone is taken for both.
    """
    for name in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        values = [float(value) for value in np.atleast_1d(of.get(name) or [])]
        if values:
            return values[0], values[min(1, len(values) - 1)]
    return 1.0, 1.0


def _attributes(ds, i: int):
    """Return a Dataset of what frame i is shown by (PS3.3, C.7.6.16).

    The frame's own functional groups count most, then the shared ones, then the file. The slice of
    the file's Dataset keeps its byte order, which lookup tables of bytes need.
    """
    of = ds.group_dataset(0x0028)
    if "ImagerPixelSpacing" in ds:
        of["ImagerPixelSpacing"] = ds["ImagerPixelSpacing"]
    shared: list[Any] = list(ds.get("SharedFunctionalGroupsSequence") or [])[:1]
    own = list(ds.get("PerFrameFunctionalGroupsSequence") or [])[i : i + 1]
    for place in (*shared, *own):  # the later wins
        for name in _GROUPS:
            for group in (place.get(name) or [])[:1]:
                of.update({element.tag: element for element in group if element.value is not None})
    return of


_GROUPS = ("PixelMeasuresSequence", "FrameVOILUTSequence", "PixelValueTransformationSequence")
