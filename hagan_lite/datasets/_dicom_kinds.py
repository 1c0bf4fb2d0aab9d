"""Tell DICOM objects that are pictures of a patient from those that are made from pictures."""

import re

STORAGE = "1.2.840.10008.5.1.4.1.1."
"""The root of all SOP classes that can be stored (PS3.4, B.5); the next number is a family."""
NO_PICTURES = {
    "9": "waveform",
    "11": "presentation state",
    "66": "segmentation, registration or raw data",
    "67": "real world values",
    "68": "surface mesh",
    "88": "structured report",
    "104": "encapsulated document",
    "481": "radiotherapy object",
}
RT_IMAGES = {f"{STORAGE}481.{n}" for n in (1, 23, 24)}
"""Radiotherapy's pictures of a patient: RT Image, Enhanced RT Image, and the continuous one."""
MODALITIES = {
    "SEG": "segmentation",
    "LABELMAP": "segmentation",
    "RTDOSE": "dose distribution",
    "RTSTRUCT": "structure set",
    "RTPLAN": "treatment plan",
    "RTRECORD": "treatment record",
    "RTSEGANN": "segment annotation",
    "PR": "presentation state",
    "DOC": "document",
    "SR": "structured report",
    "KO": "key object selection",
    "REG": "registration",
    "FID": "fiducials",
    "RWV": "real world values",
    "M3D": "model for printing",
}
OVERVIEWS = ("LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "MOSAIC")
"""Words of ImageType: a projection that shows where slices lie, many slices in one picture."""
REPORTS = re.compile(r"SCREEN[ _]?SAVE|^DOSE|REPORT")
"""In a word of ImageType: a screen or a report, saved as a picture; DOSE begins the word."""
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def check_is_a_picture(ds) -> None:
    """Raise ValueError, naming SOP class and Modality, for an object that is no patient's picture.

    Masks, doses and documents may have pixels, too.
    """
    from pydicom.uid import UID

    sop = str(ds.get("SOPClassUID") or "")
    modality = str(ds.get("Modality") or "").strip().upper()
    what = MODALITIES.get(modality, "")
    if sop.startswith(STORAGE) and sop not in RT_IMAGES:
        what = NO_PICTURES.get(sop.removeprefix(STORAGE).split(".")[0], what)
    named = f"{UID(sop).name or 'no SOP class'}, Modality {modality or 'not given'}"
    if what:
        raise ValueError(f"no picture of a patient but a {what} ({named})")
    if not any(name in ds for name in PIXELS):
        raise ValueError(f"a DICOM file without an image ({named})")


def is_overview(ds) -> bool:
    """Return whether ImageType says that the picture is a localizer or a mosaic of slices."""
    return any(overview in word for word in _image_type(ds) for overview in OVERVIEWS)


def is_report(ds) -> bool:
    """Return whether ImageType says that the picture is a saved screen, a dose sheet, a report."""
    return any(REPORTS.search(word) for word in _image_type(ds))


def _image_type(ds) -> list[str]:
    """Return the words of ImageType in capitals."""
    value = ds.get("ImageType") or ()
    words = [value] if isinstance(value, str) else value
    return [str(word).upper() for word in words]
