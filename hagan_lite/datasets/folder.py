"""Anybody's own: a folder of pictures (PNG, JPG, BMP, TIFF), of NIfTI volumes or of DICOM files, nested or not."""

import os
from pathlib import Path

from hagan_lite.datasets.sources import DataError, Found, Source

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VOLUMES = (".nii", ".nii.gz")
DICOM = (".dcm", ".dicom", ".ima")
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}
"""Folders that are no patients: one patient may lie in two of them."""
HELP = f"a folder of images ({', '.join(PICTURES + VOLUMES + DICOM)}, and DICOM files without a suffix)"


def find(folder: Path, variant: str = "") -> Found:
    """Every image file below `folder`, links followed, each folder once.

    Who is in a picture: the first folder below the one that all files share, where there are such folders; else the
    file is its own group. A DICOM file's PatientID counts for more, when it is read. Raises DataError for no folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give {HELP}")
    files, left_out, others, met = [], [], 0, set()

    def unreadable(error: OSError) -> None:
        left_out.append((Path(error.filename), error.strerror or str(error)))

    for place, folders, names in os.walk(folder, onerror=unreadable, followlinks=True):
        if (real := os.path.realpath(place)) in met:
            left_out.append((Path(place), "a link to a folder that was met before"))
            folders.clear()
            continue
        met.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for path in (Path(place) / name for name in names):
            if path.name.startswith("."):  # what macOS and editors leave behind
                others += 1
            elif not path.is_file():
                left_out.append((path, "a link that leads nowhere, or no regular file"))
            elif kind(path):
                files.append(path)
            else:
                others += 1
    files.sort()
    return Found(
        folder, [Source(path, group) for path, group in zip(files, groups(files), strict=True)], left_out, others
    )


def kind(path: Path) -> str:
    """What a file is: picture, volume, dicom, or nothing ("") by its name; without a suffix, by its content."""
    name = path.name.lower()
    for found, suffixes in (("volume", VOLUMES), ("picture", PICTURES), ("dicom", DICOM)):
        if name.endswith(suffixes):
            return found
    if path.suffix and not path.suffix[1:].isdigit():  # scanners write names such as IM0001 and 1.2.840.113619
        return ""
    try:
        with path.open("rb") as file:
            return "dicom" if file.read(132)[128:] == b"DICM" else ""
    except OSError:
        return "dicom"  # so that reading it says what is wrong


def groups(files: list[Path]) -> list[str]:
    """A group for each file. Files whose names differ after '%' alone are one case (COVID-CT's 1%0.jpg, 1%1.jpg)."""
    shared = Path(os.path.commonpath([p.parent for p in files])) if files else Path()
    below = []
    for path in files:
        folders = [part for part in path.relative_to(shared).parts[:-1] if part.lower() not in SPLITS]
        below.append(folders[0] if folders else path.stem.split("%")[0])
    return below
