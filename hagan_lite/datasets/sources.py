"""The files that a data set reads, whose they are, and who must be named beside them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hagan_lite.datasets._tiff import Series


SOURCES = {
    "acdc": "Bernard et al. 2018, CC BY-NC-SA 4.0",
    "lgg": "Buda et al. 2019, CC BY-NC-SA 4.0",
}
"""Who must be named beside every picture of a data set's images: its licence asks for it."""


def source_of(dataset: str) -> str:
    """Return who must be named beside images of a data set, or "" where nobody must."""
    sources = (who for name, who in SOURCES.items() if f"{dataset}-".startswith(f"{name}-"))
    return next(sources, "")


def titled(title: str, dataset: str) -> str:
    """Return a figure's title, with the data set's source below it where that must be named."""
    source = source_of(dataset)
    return f"{title}\n{source}" if source else title


class DataError(ValueError):
    """Report a data set that cannot be used; the message names what, where, and what to do."""


def number_in(variant: str) -> int | None:
    """Return how many images a data set's variant such as "1798" asks for; None for no variant.

    Raises DataError for a variant that is no number.
    """
    if not variant:
        return None
    if not variant.isdecimal():
        raise DataError(
            f"variant {variant!r}: choose the data set without a variant, or a number of images as "
            "in acdc-1798 and covid-ct-396"
        )
    return int(variant)


@dataclass(frozen=True)
class Source:
    """Name one file, whose it is, and which of its slices are wanted."""

    path: Path
    group: str  # the patient, or what stands for one; only ever compared, never written down
    in_folder: bool = False  # `group` is a folder of the user's, and not the file's own name
    frame: int | None = None  # of a 4D file, from 0
    slices: int | None = None  # so many, evenly spaced, with anatomy; None: all but constant ones
    crop: bool = False  # make slices square by cropping around the centre; False: by padding
    series: "Series | None" = None  # a TIFF slice: the examination that shares one window


@dataclass(frozen=True)
class Listing:
    """List the files of a data set, in the order in which they are read."""

    folder: Path
    sources: list[Source]
    left_out: list[tuple[Path, str]]  # (path, reason)
    others: int = 0  # files of other kinds
    masks: int = 0  # files left out because their names say that they are masks
    hints: dict[str, int] = field(default_factory=dict)  # notes on the names: sentence, number
    patients: bool = False  # the layout says who is in the picture: `group` is a patient
    limit: int | None = None  # use the first so many images
    flat: bool = False  # keep pictures that show nothing, as a failed model's
