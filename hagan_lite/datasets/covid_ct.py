"""COVID-CT (Yang et al. 2020, arXiv:2003.13865): chest CT pictures without COVID-19.

The paper used 396 of the 397. The variant "396" takes the first 396 by name, as many as the paper
did; which one it left out is not said.
"""

import dataclasses
from pathlib import Path

from hagan_lite.datasets import folder
from hagan_lite.datasets.sources import DataError, Listing, number_in

PLACE = "covid-ct/CT_NonCOVID"
HELP = (
    f"put the CT_NonCOVID images of the public COVID-CT-Dataset into {PLACE}/ "
    "('hagan data fetch covid-ct' does it), or set HAGAN_DATA to the folder that holds covid-ct/"
)


def find(root: Path, variant: str = "") -> Listing:
    """Return the pictures below `root`/covid-ct/CT_NonCOVID; the variant limits their number.

    Raises DataError where there is no such folder, and for a variant that is no number.
    """
    place = root / PLACE
    if not place.is_dir():
        raise DataError(f"no folder {place}; {HELP} (Yang et al., arXiv:2003.13865)")
    listing = folder.find(place, masks=True)
    return dataclasses.replace(listing, sources=listing.sources[: number_in(variant)])
