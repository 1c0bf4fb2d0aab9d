"""LGG MRI Segmentation (Buda et al. 2019): FLAIR slices of 110 brains with glioma.

The paper does not use it. The axial images come from TCGA-LGG of The Cancer Imaging Archive. They
are read as Kaggle ships them: a folder such as kaggle_3m/TCGA_CS_4941_19960909/ holds one
examination, with a TIFF of three channels (before contrast, FLAIR, after contrast) for each slice,
and a mask of the tumour beside it. A copy may have FLAIR alone, as grey TIFFs. Masks are not read.
"""

import re
from pathlib import Path

from hagan_lite.datasets._tiff import Series
from hagan_lite.datasets.sources import DataError, Listing, Source

HELP = (
    'register at Kaggle, download "LGG MRI Segmentation" by Mateusz Buda (images of TCGA-LGG, '
    "The Cancer Imaging Archive), and unpack it to lgg/kaggle_3m/TCGA_.../ (lgg/TCGA_.../ is "
    "fine, and so is lgg/lgg-mri-segmentation/kaggle_3m/TCGA_.../), or set HAGAN_DATA to the "
    "folder that holds lgg/"
)


def find(root: Path, variant: str = "") -> Listing:
    """Return the slices of each examination below `root`/lgg, in the order of their numbers.

    Raises DataError if there is no examination's folder, or if all of them hold masks only.
    """
    place = root / "lgg"
    folders = _examinations(place)
    if not folders:
        raise DataError(f"no TCGA_*/ below {place}; {HELP}")
    sources, left_out, masks, others = [], [], 0, 0
    for folder in folders:
        slices = []
        for path in folder.iterdir():
            if path.name.startswith(".") or path.suffix.lower() not in (".tif", ".tiff"):
                others += 1
            elif path.stem.endswith("_mask"):
                masks += 1
            else:
                slices.append(path)
        slices.sort(key=_number)
        if not slices:
            reason = "no slices (TCGA_..._1.tif), only masks or other files"
            left_out.append((folder, f"{reason}; unpack the archive again"))
        series = Series(slices)
        sources += [Source(path, _patient(folder), series=series) for path in slices]
    if not sources:
        what = f"{masks} masks (*_mask.tif) and no slices" if masks else "no slices (*.tif)"
        where = f"the {len(folders)} folders TCGA_*/ of {folders[0].parent}"
        raise DataError(f"no image: {what} in {where}; {HELP}")
    return Listing(place, sources, left_out, others=masks + others, patients=True)


def _examinations(place: Path) -> list[Path]:
    """Return the folders TCGA_*/ of one copy: of Kaggle's two, the one that lies highest."""
    for depth in ("", "*/", "*/*/"):
        folders = sorted(p for p in place.glob(f"{depth}TCGA_*") if p.is_dir())
        if folders:
            return [p for p in folders if p.parent == folders[0].parent]
    return []


def _patient(folder: Path) -> str:
    """Return TCGA_CS_4941 for TCGA_CS_4941_19960909: the rest is the examination's date."""
    return "_".join(folder.name.split("_")[:3])


def _number(path: Path) -> tuple[int, str]:
    """Return what slices are sorted by, so that ..._10.tif follows ..._9.tif."""
    digits = re.search(r"\d+$", path.stem)
    return int(digits.group()) if digits else -1, path.name
