"""A folder of one's own: pictures, NIfTI volumes and DICOM files, nested or not."""

import os
from pathlib import Path

from hagan_lite.datasets import _names
from hagan_lite.datasets.sources import DataError, Listing, Source

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VOLUMES = (".nii", ".nii.gz")
DICOM = (".dcm", ".dicom", ".ima")
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}
"""Folders that are no patients: one patient may lie in two of them."""
HELP = (
    f"a folder of images ({', '.join(PICTURES + VOLUMES + DICOM)}, "
    "and DICOM files without a suffix)"
)


def find(folder: Path, masks: bool = False, patient: str = "") -> Listing:
    """Return every image file below `folder`; links are followed, each folder once.

    A picture's group is what the pattern `patient` finds in its path below `folder`; without a
    pattern the first folder below the one that all files share, where there are such folders; else
    the file is a group of its own. Without a pattern a DICOM file's PatientID counts for more, when
    the file is read. Files whose names say that they are masks are left out unless `masks`. Raises
    DataError if `folder` is none, or for a pattern that does not match.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give {HELP}")
    files, others, left_for_masks = [], 0, 0
    paths, left_out = _walk(folder)
    for path in paths:
        what = "" if path.name.startswith(".") or path.name.upper() == "DICOMDIR" else kind(path)
        if what and not path.is_file():
            left_out.append((path, "a link that leads nowhere, or no regular file"))
        elif not what:  # hidden files of macOS and editors, an index of a disc, other kinds
            others += 1
        elif what != "dicom" and not masks and _names.is_mask(path.relative_to(folder)):
            left_for_masks += 1  # a DICOM file says itself what it is
        else:
            files.append(path)
    if left_for_masks and not files:
        raise DataError(
            f"{folder}: all {left_for_masks} images are masks by their names (such as *_mask, "
            "*_seg, labels/); 'masks' keeps them: --masks, --set masks=true, load(..., masks=True)"
        )
    files.sort()
    belows = [path.relative_to(folder) for path in files]
    if patient:
        names = _names.patients(belows, patient)
        sources = [Source(path, name) for path, name in zip(files, names, strict=True)]
        hints = {}
    else:
        own = zip(files, groups(files), folders(files), strict=True)
        sources = [Source(path, name, in_folder=bool(place)) for path, name, place in own]
        hints = _names.suggestion(belows)
    return Listing(
        folder, sources, left_out, others, patients=bool(patient), masks=left_for_masks, hints=hints
    )


def _walk(folder: Path) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return all paths below `folder` that are no folders, and (folder, reason) left out."""
    paths, left_out, visited = [], [], set()

    def unreadable(error: OSError) -> None:
        left_out.append((Path(error.filename), error.strerror or str(error)))

    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        real = os.path.realpath(place)
        if real in visited:
            left_out.append((Path(place), "a link to a folder that was met before"))
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        paths += [Path(place) / name for name in names]
    return paths, left_out


def kind(path: Path) -> str:
    """Return "picture", "volume", "dicom" or "" for none of them.

    The name decides; the content does where the suffix is none of these, for scanners write names
    such as IM0001, 1.2.840.113619 and MR.7.
    """
    name = path.name.lower()
    for what, suffixes in (("volume", VOLUMES), ("picture", PICTURES), ("dicom", DICOM)):
        if name.endswith(suffixes):
            return what
    try:
        if not path.is_file():  # to open a named pipe would wait for ever
            raise FileNotFoundError(path)
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return "" if _has_suffix(path) else "dicom"  # so that reading it says what is wrong
    if start[128:] == b"DICM":
        return "dicom"
    # Old scanners write neither suffix nor preamble; the file begins with a data element.
    return "dicom" if not _has_suffix(path) and _begins_with_an_element(start) else ""


def _has_suffix(path: Path) -> bool:
    """Return whether a name has a suffix; IM0001 and 1.2.840.113619 have none."""
    return bool(path.suffix) and not path.suffix[1:].isdigit()


def _begins_with_an_element(start: bytes) -> bool:
    """Return whether bytes begin with a DICOM element of group 2 or 8, in either byte order."""
    if len(start) < 12 or start[:2] not in (b"\2\0", b"\x08\0", b"\0\2", b"\0\x08"):
        return False
    little = start[1] == 0
    element = int.from_bytes(start[2:4], "little" if little else "big")
    length = int.from_bytes(start[4:8], "little")
    named = start[4:6].isalpha() and start[4:6].isupper()  # a value representation such as UI
    return element <= 0x0100 and (named or (little and length <= 128))


def volume(folder: Path, stem: str) -> Path | None:
    """Return `folder`/`stem`.nii.gz or .nii in any spelling, or None where there is neither."""
    wanted = [f"{stem}{suffix}".lower() for suffix in (".nii.gz", ".nii")]
    here = {path.name.lower(): path for path in sorted(folder.glob("*")) if path.is_file()}
    return next((here[name] for name in wanted if name in here), None)


def groups(files: list[Path]) -> list[str]:
    """Return a group for each file: its first folder below the one they share, else its name.

    Names that differ only after '%' are one case (COVID-CT's 1%0.jpg and 1%1.jpg).
    """
    names = []
    for path, place in zip(files, folders(files), strict=True):
        stem = path.stem if _has_suffix(path) else path.name  # 1.2.840.7 is a name without suffix
        names.append(place or stem.split("%")[0])
    return names


def folders(files: list[Path]) -> list[str]:
    """Return each file's first folder below the one that all share, or "" where there is none."""
    shared = Path(os.path.commonpath([p.parent for p in files])) if files else Path()
    found = []
    for path in files:
        parts = path.relative_to(shared).parts[:-1]
        found.append(next((part for part in parts if part.lower() not in SPLITS), ""))
    return found
