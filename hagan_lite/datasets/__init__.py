"""Where images come from: one file a data set; those with an underscore read a format.

A data set's file has `find(root, variant)`, which returns a `Listing` of the files to read and of
who is in them, and `HELP`, which says where to get the data set and what to put where.
`loading.py` finds and caches, `reading.py` reads and groups.
"""

from hagan_lite.datasets.loading import Dataset, data_root, find, load, load_for, where_to_get
from hagan_lite.datasets.sources import DataError, source_of, titled

__all__ = [
    "DataError",
    "Dataset",
    "data_root",
    "find",
    "load",
    "load_for",
    "source_of",
    "titled",
    "where_to_get",
]
