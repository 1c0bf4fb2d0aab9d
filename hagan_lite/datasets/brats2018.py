"""BraTS 2018 (Menze et al. 2015; Bakas et al. 2017, 2018): brain MRI with glioma, 285 cases.

The paper used 6528 slices of one modality and names neither the modality nor the slices. We take
T1 with contrast (variants: t1, t2, flair), 23 evenly spaced axial slices a case with brain on
them, and the first 6528.
"""

from pathlib import Path

from hagan_lite.datasets.folder import volume
from hagan_lite.datasets.sources import DataError, Listing, Source

SLICES, LIMIT = 23, 6528
HELP = (
    "register for BraTS 2018 at CBICA (University of Pennsylvania), download the training data, "
    "and unpack it to brats2018/HGG/Brats18_.../ and brats2018/LGG/ (a folder between them is "
    "fine), or set HAGAN_DATA to the folder that holds brats2018/"
)


def find(root: Path, variant: str = "") -> Listing:
    """Return one modality of each case below `root`/brats2018; the variant names the modality.

    Raises DataError where there is no case's folder.
    """
    place = root / "brats2018"
    modality = variant or "t1ce"
    cases = _cases(place)
    if not cases:
        raise DataError(f"no HGG/*/ or LGG/*/ below {place}; {HELP}")
    sources, left_out = [], []
    for case in cases:
        path = volume(case, f"{case.name}_{modality}")
        if path:
            sources.append(Source(path, case.name, slices=SLICES))
        else:
            left_out.append((case, f"no {case.name}_{modality}.nii.gz"))
    return Listing(place, sources, left_out, patients=True, limit=LIMIT)


def _cases(place: Path) -> list[Path]:
    """Return the cases' folders, high grade first, each grade in the order of names.

    Of several copies the one that lies highest counts.
    """
    cases = []
    for grade in ("HGG", "LGG"):
        for depth in ("", "*/", "*/*/"):
            folders = [path for path in place.glob(f"{depth}{grade}/*") if path.is_dir()]
            if folders:
                cases += sorted(folders)
                break
    return cases
