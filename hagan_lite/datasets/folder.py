"""A folder of one's own: pictures, NIfTI volumes and DICOM files, nested or not."""

import os
from pathlib import Path

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


def find(folder: Path, variant: str = "") -> Listing:
    """Return every image file below `folder`; links are followed, each folder once.

    A picture's group is the first folder below the one that all files share, where there are such
    folders; else the file is a group of its own. A DICOM file's PatientID counts for more, when
    the file is read. Raises DataError if `folder` is none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give {HELP}")
    files, others = [], 0
    paths, left_out = _walk(folder)
    for path in paths:
        if path.name.startswith("."):  # what macOS and editors leave behind
            others += 1
        elif not path.is_file():
            left_out.append((path, "a link that leads nowhere, or no regular file"))
        elif kind(path):
            files.append(path)
        else:
            others += 1
    files.sort()
    sources = [Source(path, group) for path, group in zip(files, groups(files), strict=True)]
    return Listing(folder, sources, left_out, others)


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

    The name decides; the content does where there is no suffix.
    """
    name = path.name.lower()
    for what, suffixes in (("volume", VOLUMES), ("picture", PICTURES), ("dicom", DICOM)):
        if name.endswith(suffixes):
            return what
    # Scanners write names such as IM0001 and 1.2.840.113619.
    if path.suffix and not path.suffix[1:].isdigit():
        return ""
    try:
        with path.open("rb") as file:
            return "dicom" if file.read(132)[128:] == b"DICM" else ""
    except OSError:
        return "dicom"  # so that reading it says what is wrong


def volume(folder: Path, stem: str) -> Path | None:
    """Return `folder`/`stem`.nii.gz or .nii, or None where there is neither."""
    paths = (folder / f"{stem}.nii.gz", folder / f"{stem}.nii")
    return next((path for path in paths if path.is_file()), None)


def groups(files: list[Path]) -> list[str]:
    """Return a group for each file: its first folder below the one they share, else its name.

    Names that differ only after '%' are one case (COVID-CT's 1%0.jpg and 1%1.jpg).
    """
    shared = Path(os.path.commonpath([p.parent for p in files])) if files else Path()
    names = []
    for path in files:
        parts = path.relative_to(shared).parts[:-1]
        folders = [part for part in parts if part.lower() not in SPLITS]
        names.append(folders[0] if folders else path.stem.split("%")[0])
    return names
