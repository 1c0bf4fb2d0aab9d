"""Where images come from: one file a data set; those with an underscore read a format, or fetch.

A data set's file has `find(root, variant)`, which says which files are read and who is in them (a :class:`Found`), and
`HELP`, which says where to get it and what to put where; `hagan_lite/data.py` reads, groups and caches.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hagan_lite.datasets._tiff import Series

DATASETS = {
    "mni152": "axial slices of the MNI152 T1 template (embedded: nilearn ships it)",
    "mni152-all": "axial, coronal and sagittal slices of the MNI152 T1 template (embedded)",
    "covid-ct": "chest CT images without COVID-19, COVID-CT-Dataset",
    "covid-ct-396": "the first 396 of them by name, as many as the paper used",
    "acdc": "short-axis cine-MRI of 100 hearts at end diastole and end systole, ACDC",
    "acdc-1798": "the first 1798 of these slices, as many as the paper used",
    "brats2018": "T1 MRI with contrast of 285 brains with glioma, BraTS 2018",
    "brats2018-t1": "the same in T1",
    "brats2018-t2": "the same in T2",
    "brats2018-flair": "the same in FLAIR",
    "lgg": "FLAIR MRI of 110 brains with lower-grade glioma, LGG MRI Segmentation (not in the paper)",
}
PAPER_IMAGES = {"covid-ct": 396, "acdc": 1798, "brats2018": 6528}
"""How many images the paper used (Table II)."""
SOURCES = {"acdc": "Bernard et al. 2018, CC BY-NC-SA 4.0", "lgg": "Buda et al. 2019, CC BY-NC-SA 4.0"}
"""Who must be named beside every picture that shows images of a data set, because its licence asks for it."""


def paper_name(dataset: str) -> str:
    """What the paper calls a data set of ours: 'brats2018' for 'brats2018-flair'; itself where it has none."""
    return next((name for name in PAPER_IMAGES if dataset == name or dataset.startswith(f"{name}-")), dataset)


def source_of(dataset: str) -> str:
    """Return who must be named beside images of a data set, or "" where its terms do not ask for that."""
    return SOURCES.get(paper_name(dataset), "")


def titled(title: str, dataset: str) -> str:
    """Return a figure's title with the data set's source on a line below it, where the source must be named."""
    source = source_of(dataset)
    return f"{title}\n{source}" if source else title


class DataError(ValueError):
    """A data set that cannot be used; the message names what, where, and what to do."""


@dataclass(frozen=True)
class Source:
    """One file, whose it is, and which of its slices are wanted."""

    path: Path
    group: str  # the patient, or what stands for one; only ever compared, never written down
    frame: int | None = None  # of a 4D file, from 0
    slices: int | None = None  # so many evenly spaced ones with anatomy on them; None: all that are not constant
    crop: bool = False  # a volume's slices to the square by cropping around the centre; False: by padding
    series: "Series | None" = None  # a TIFF slice: the examination whose slices are windowed together


@dataclass(frozen=True)
class Found:
    """What lies in a folder, in the order in which it is read."""

    folder: Path
    sources: list[Source]
    left_out: list[tuple[Path, str]]  # and why
    others: int = 0  # files of other kinds
    patients: bool = False  # the layout says who is in the picture: `group` is a patient
    limit: int | None = None  # use the first so many images
