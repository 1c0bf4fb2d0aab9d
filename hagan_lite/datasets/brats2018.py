"""BraTS 2018 (Menze et al. 2015; Bakas et al. 2017, 2018): brain MRI with glioma, 285 cases in HGG/ and LGG/.

The paper used 6528 slices of one modality and names neither the modality nor the slices. We take T1 with contrast
(variants: t1, t2, flair), 23 evenly spaced axial slices a case with brain on them, and the first 6528.
"""

from pathlib import Path

from hagan_lite.datasets.sources import DataError, Found, Source

SLICES, LIMIT = 23, 6528
HELP = (
    "register for BraTS 2018 at CBICA (University of Pennsylvania), download the training data, and unpack it to "
    "brats2018/HGG/Brats18_.../ and brats2018/LGG/ (a folder between them is fine), or set HAGAN_DATA to the folder "
    "that holds brats2018/"
)


def find(root: Path, variant: str = "") -> Found:
    """One modality of each case below `root`/brats2018. Raises DataError where there is no case's folder."""
    modality, place = variant or "t1ce", root / "brats2018"
    cases = [
        c for grade in ("HGG", "LGG") for depth in ("", "*/", "*/*/") for c in sorted(place.glob(f"{depth}{grade}/*"))
    ]
    cases = [c for c in cases if c.is_dir()]
    if not cases:
        raise DataError(f"no HGG/*/ or LGG/*/ below {place}; {HELP}")
    sources, left_out = [], []
    for case in cases:
        file = next((p for end in (".nii.gz", ".nii") if (p := case / f"{case.name}_{modality}{end}").is_file()), None)
        if file:
            sources.append(Source(file, case.name, slices=SLICES))
        else:
            left_out.append((case, f"no {case.name}_{modality}.nii.gz"))
    return Found(place, sources, left_out, patients=True, limit=LIMIT)
