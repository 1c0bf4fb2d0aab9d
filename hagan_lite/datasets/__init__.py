"""Where images come from: one file a data set; those with an underscore read a format.

A data set's file has `find(root, variant)`, which says which files are read and who is in them (a `Found`), and
`HELP`, which says where to get it and what to put where; `loading.py` reads, groups and caches.
"""

from hagan_lite.datasets.loading import Dataset, data_root, find, load
from hagan_lite.datasets.sources import DataError, source_of, titled

__all__ = ["DataError", "Dataset", "data_root", "find", "load", "source_of", "titled"]
