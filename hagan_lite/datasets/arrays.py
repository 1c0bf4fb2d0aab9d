"""Ready arrays: a data set's images as one file, for a machine that has no files of it to read.

`arrays/covid-ct-64px-1ch.npz` below HAGAN_DATA holds what `load("covid-ct", 64)` returned on
another machine, with the fingerprint of those images, so that records may be compared. numpy reads
it; no image library is needed. scripts/gpu.sh makes such a folder.
"""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from hagan_lite.datasets.sources import DataError
from hagan_lite.system.storage import write_atomically

REMEDY = "pack it again with scripts/gpu.sh, or delete it where the image files are"


def path_of(root: Path, name: str, size: int, channels: int) -> Path:
    """Return where the ready array of a data set lies below the folder of data sets."""
    return Path(root) / "arrays" / f"{name}-{size}px-{channels}ch.npz"


def write(
    path: Path, name: str, images: np.ndarray, groups: np.ndarray, fingerprint: str, version: int
) -> Path:
    """Write images (N, C, size, size) uint8 and groups (N,) int, compressed, and return `path`.

    `version` is that of the preprocessing which made the images.
    """
    about = json.dumps(dict(name=name, fingerprint=fingerprint, version=version))
    arrays = dict(images=images, groups=groups, about=np.frombuffer(about.encode(), np.uint8))
    return write_atomically(path, lambda file: np.savez_compressed(file, **arrays))


def read(path: Path, version: int) -> dict[str, Any]:
    """Return the fields of a Dataset: name, images (read-only), groups and fingerprint.

    Raises DataError, with the remedy, for a damaged file and for another preprocessing's images.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, groups = arrays["images"], arrays["groups"]
            about = json.loads(arrays["about"].tobytes())
            made_by = about.pop("version")
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        # numpy's own words are left out: they advise to unpickle the file.
        raise DataError(f"{path} is damaged ({type(error).__name__}); {REMEDY}") from None
    if made_by != version:
        raise DataError(f"{path} was made by another version of the preprocessing; {REMEDY}")
    images.flags.writeable = False
    return dict(images=images, groups=groups, **about)
