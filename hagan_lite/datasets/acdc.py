"""ACDC, the Automated Cardiac Diagnosis Challenge (Bernard et al. 2018): cine-MRI of 100 patients.

The short-axis images are read as the challenge ships them: training/patient001/ has Info.cfg,
which says which frames are end diastole (ED) and end systole (ES), a file for each of the two, and
the whole cycle as patient001_4d.nii.gz. We take ED and ES, which gives 1902 slices. The paper used
1798 and says neither of which frames they are nor which slices it left out. The variant "1798"
takes the first 1798 in the order of the patients' names: the last four patients are absent from
it, and the fifth from the end is cut short. The paper's reference for the data set is another one,
of street scenes.
"""

import re
from pathlib import Path

from hagan_lite.datasets.folder import volume
from hagan_lite.datasets.sources import DataError, Listing, Source, number_in

HELP = (
    "register at the challenge's site (Human Heart Project, CREATIS, Lyon), download the training "
    "data, and unpack it to acdc/training/patient001/ ... (a folder database/ between them is "
    "fine), or set HAGAN_DATA to the folder that holds acdc/"
)


def find(root: Path, variant: str = "") -> Listing:
    """Return ED and ES of each patient below `root`/acdc; the variant "1798" limits the slices.

    Raises DataError if there is no patient's folder, and for a variant that is no number.
    """
    place = root / "acdc"
    patients = _patients(place)
    if not patients:
        raise DataError(f"no training/patient*/ below {place}; {HELP}")
    sources, left_out = [], []
    for patient in patients:
        frames, missing = _frames(patient)
        sources += frames
        left_out += [(patient, reason) for reason in missing]
    return Listing(place, sources, left_out, patients=True, limit=number_in(variant))


def _patients(place: Path) -> list[Path]:
    """Return the patients' folders of one copy: of several, the one that lies highest."""
    for depth in ("", "*/", "*/*/"):
        folders = sorted(p for p in place.glob(f"{depth}training/patient*") if p.is_dir())
        if folders:
            return folders
    return []


def _frames(patient: Path) -> tuple[list[Source], list[str]]:
    """Return the Sources of one patient, and a reason for each frame that has none."""
    info, name = patient / "Info.cfg", patient.name
    if not info.is_file():
        return _frames_without_info(patient)
    text = info.read_text(errors="replace")
    numbers = dict(re.findall(r"^\s*(ED|ES)\s*:\s*(\d+)", text, re.MULTILINE))
    sources, missing = [], []
    for phase in ("ED", "ES"):
        if phase not in numbers:
            missing.append(f"Info.cfg does not say which frame is {phase}")
    for number in sorted({int(n) for n in numbers.values()}):  # from 1
        if single := volume(patient, f"{name}_frame{number:02d}"):
            sources.append(Source(single, name, crop=True))
        elif cycle := volume(patient, f"{name}_4d"):
            sources.append(Source(cycle, name, frame=number - 1, crop=True))
        else:
            missing.append(f"neither {name}_frame{number:02d} nor {name}_4d")
    return sources, missing


def _frames_without_info(patient: Path) -> tuple[list[Source], list[str]]:
    """Return the frames that have a file of their own; segmentations (_gt) are no images."""
    name = patient.name
    files = sorted(p for p in patient.glob(f"{name}_frame*.nii*") if "_gt" not in p.name)
    if not files:
        return [], ["no Info.cfg and no frame's file"]
    return [Source(path, name, crop=True) for path in files], []
