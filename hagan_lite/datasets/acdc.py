"""ACDC, the Automated Cardiac Diagnosis Challenge (Bernard et al. 2018): short-axis cine-MRI of 100 patients.

Read as the challenge ships it: training/patient001/ with Info.cfg, which says which frames are end diastole (ED) and
end systole (ES), a file for each of the two, and the whole cycle as patient001_4d.nii.gz. We take ED and ES, which
gives 1902 slices. The paper used 1798 and says neither of which frames they are nor which slices it left out. The
variant "1798" takes the first 1798 in the order of the patients' names: the last four patients are absent from it, and
the fifth from the end is cut short. The paper's reference for the data set is another one, of street scenes.
"""

import re
from pathlib import Path

from hagan_lite.datasets.sources import DataError, Found, Source

HELP = (
    "register at the challenge's site (Human Heart Project, CREATIS, Lyon), download the training data, and unpack it "
    "to acdc/training/patient001/ ... (a folder database/ between them is fine), or set HAGAN_DATA to the folder that "
    "holds acdc/"
)


def find(root: Path, variant: str = "") -> Found:
    """Return ED and ES of each patient below `root`/acdc; the variant "1798" limits them to the first 1798 slices.

    Raises DataError if there is no patient's folder.
    """
    patients: list[Path] = []
    for depth in ("", "*/", "*/*/"):  # of two copies the one that lies higher
        patients = patients or sorted(p for p in (root / "acdc").glob(f"{depth}training/patient*") if p.is_dir())
    if not patients:
        raise DataError(f"no training/patient*/ below {root / 'acdc'}; {HELP}")
    sources, left_out = [], []
    for patient in patients:
        frames, missing = _frames(patient)
        sources += frames
        left_out += [(patient, why) for why in missing]
    return Found(root / "acdc", sources, left_out, patients=True, limit=int(variant) if variant else None)


def _frames(patient: Path) -> tuple[list[Source], list[str]]:
    """The Sources of one patient, and why a frame has none."""
    info, name = patient / "Info.cfg", patient.name
    if not info.is_file():
        files = sorted(p for p in patient.glob(f"{name}_frame*.nii*") if "_gt" not in p.name)
        return [Source(p, name, crop=True) for p in files], [] if files else ["no Info.cfg and no frame's file"]
    said = dict(re.findall(r"^\s*(ED|ES)\s*:\s*(\d+)", info.read_text(errors="replace"), re.MULTILINE))
    sources, missing = (
        [],
        [f"Info.cfg does not say which frame is {phase}" for phase in ("ED", "ES") if phase not in said],
    )
    for number in sorted({int(n) for n in said.values()}):  # from 1
        if single := _file(patient, f"{name}_frame{number:02d}"):
            sources.append(Source(single, name, crop=True))
        elif cycle := _file(patient, f"{name}_4d"):
            sources.append(Source(cycle, name, frame=number - 1, crop=True))
        else:
            missing.append(f"neither {name}_frame{number:02d} nor {name}_4d")
    return sources, missing


def _file(folder: Path, stem: str) -> Path | None:
    return next((p for p in (folder / f"{stem}.nii.gz", folder / f"{stem}.nii") if p.is_file()), None)
