"""Load a named data set or anybody's folder: uint8 images, cached, grouped by patient (IV-A)."""

import hashlib
import importlib.util
import os
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hagan_lite.config import DATASETS
from hagan_lite.datasets import arrays, cache, folder, mni152
from hagan_lite.datasets.reading import Reading, below, read_files
from hagan_lite.datasets.sources import DataError, Listing
from hagan_lite.paper import PAPER_IMAGES, paper_name
from hagan_lite.system.paths import ROOT

VERSION = 2  # of the preprocessing: raise it when the images that it makes change
EMBEDDED = "no files at hand? 'mni152' is embedded and needs none"


@dataclass(frozen=True)
class Dataset:
    """Images, and which of them belong to one patient, volume or block of slices (`groups`)."""

    name: str  # the data set's name; 'folder' for a user's own
    images: np.ndarray  # (N, C, size, size) uint8, read-only
    groups: np.ndarray  # (N,) int
    fingerprint: str  # 12 hex digits of the files: records that differ here never share a column
    left_out: tuple[str, ...] = ()  # what could not be used, and why; names files
    notes: tuple[str, ...] = ()  # what else a user should know, in numbers; names no file

    def __len__(self) -> int:
        return len(self.images)

    def split(self, heldout: float) -> tuple[np.ndarray, np.ndarray]:
        """Return indices (training, held out), (N,) int: whole groups, the same for every seed.

        `heldout` is the share of images held out; 0 holds nothing out. Raises DataError where
        nothing is left to train on.
        """
        order = np.random.default_rng(0).permutation(np.unique(self.groups))
        chosen = order[:0]
        if heldout:
            sizes = np.array([(self.groups == group).sum() for group in order])
            chosen = order[: np.searchsorted(sizes.cumsum(), heldout * len(self)) + 1]
        out = np.isin(self.groups, chosen)
        if out.all():
            raise DataError(
                f"{self.name}: heldout={heldout} leaves nothing to train on; "
                f"it has {len(order)} group(s)"
            )
        return np.flatnonzero(~out), np.flatnonzero(out)


def data_root() -> Path:
    """Return the folder of data sets: HAGAN_DATA, else data/.

    A relative path starts at the checkout: it means the same in a shell and in a notebook.
    """
    return ROOT / os.environ.get("HAGAN_DATA", "data")


def load(name: str, size: int = 64, channels: int = 1, strict: bool = False) -> Dataset:
    """Load a named data set, or a folder of images, at size x size pixels and 1 or 3 channels.

    Decoded arrays are cached below build/cache and mapped from there. A ready array of a named data
    set (arrays.py) is taken before any files. A warning names files that cannot be read. Raises
    DataError where no image is left, the data set is missing, or, with `strict`, any file was left
    out.
    """
    if size < 1 or channels not in (1, 3):
        raise DataError(
            f"{name}: {size} pixels a side and {channels} channels; "
            "choose 1 or more pixels, 1 or 3 channels"
        )
    ready = arrays.path_of(data_root(), name, size, channels)
    if name in DATASETS and ready.is_file():
        return Dataset(**arrays.read(ready, VERSION))
    if name in ("mni152", "mni152-all"):
        return _load_embedded(name, size, channels)
    listing = find(name)
    label = name if name in DATASETS else "folder"
    images, reading = _read_cached(label, listing, size, channels)
    left_out = _left_out(listing, reading)
    if not len(images):
        first = f"; the first: {left_out[0]}" if left_out else ""
        raise DataError(
            f"{name}: nothing can be read of what is in {listing.folder}{first}; {EMBEDDED}"
        )
    if left_out:
        _report(listing, left_out, strict)
    return Dataset(
        label,
        images,
        np.array(reading.groups),
        reading.fingerprint,
        left_out,
        _notes(name, len(images), reading),
    )


def find(name: str) -> Listing:
    """Return the files of a named data set or of a user's folder.

    Raises DataError where they are not there, with what to put where.
    """
    if name in DATASETS:
        listing = _find_named(name)
    else:
        place = Path(name).expanduser()
        if not place.is_dir():
            names = ", ".join(DATASETS)
            raise DataError(f"{name}: neither a data set ({names}) nor a folder; {EMBEDDED}")
        listing = folder.find(place)
    if not listing.sources and not listing.left_out:
        raise DataError(f"{name}: no images below {listing.folder}; give {folder.HELP}; {EMBEDDED}")
    return listing


def _find_named(name: str) -> Listing:
    """Ask the data set's own file for its images."""
    file, variant = _file_and_variant(name)
    try:
        return file.find(data_root(), variant)
    except DataError as error:
        raise DataError(f"{name}: {error}; {EMBEDDED}") from error


def where_to_get(name: str) -> str:
    """Return what the file of a named data set says about where to get it."""
    return _file_and_variant(name)[0].HELP


def _file_and_variant(name: str) -> tuple[ModuleType, str]:
    """Return the file of a data set, and the variant in its name.

    Of "acdc-1798" they are acdc.py and "1798", of "covid-ct" covid_ct.py and "".
    """
    words = name.split("-")
    for n in range(len(words), 0, -1):
        file = f"hagan_lite.datasets.{'_'.join(words[:n])}"
        if importlib.util.find_spec(file):
            return importlib.import_module(file), "-".join(words[n:])
    raise DataError(f"{name}: there is no file datasets/{'_'.join(words)}.py that finds its images")


def _load_embedded(name: str, size: int, channels: int) -> Dataset:
    key = f"{name}-{mni152.version()}-{size}px-{channels}ch-v{VERSION}"

    def make(append: cache.Append) -> dict[str, Any]:
        fingerprint, slices = mni152.slices(size, every_axis=name == "mni152-all")
        groups = []
        for plane, group in slices:
            append(plane[None].repeat(channels, axis=0))
            groups.append(group)
        return asdict(Reading(groups, fingerprint))

    images, about = cache.load_or_make(key, (channels, size, size), make)
    return Dataset(name, images, np.array(about["groups"]), about["fingerprint"])


def _read_cached(
    label: str, listing: Listing, size: int, channels: int
) -> tuple[np.ndarray, Reading]:
    """Return the images of `listing`, (N, C, size, size) uint8, and what is stored about them."""
    key = f"{label}-{_state(listing)}-{size}px-{channels}ch-v{VERSION}"

    def make(append: cache.Append) -> dict[str, Any]:
        return asdict(read_files(listing, size, channels, append))

    images, about = cache.load_or_make(key, (channels, size, size), make)
    reading = Reading(**about)
    if reading.passing:
        cache.forget(key)
    return images, reading


def _state(listing: Listing) -> str:
    """Return 12 hex digits of the files' names, sizes and times: no file is opened for them."""
    # Files left out for want of one of these packages are read again once it is installed.
    packages = ("pydicom", "pylibjpeg", "gdcm", "jpeg_ls")
    installed = [importlib.util.find_spec(package) is not None for package in packages]
    digest = hashlib.sha256(repr((listing.limit, installed)).encode())
    for source in listing.sources:
        try:
            stat = source.path.stat()
            # st_ctime moves when permissions do.
            state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        except OSError:
            state = ()
        name = below(source.path, listing.folder)
        digest.update(repr((name, source.frame, source.slices, *state)).encode())
    return digest.hexdigest()[:12]


def _left_out(listing: Listing, reading: Reading) -> tuple[str, ...]:
    """Return a line "file: reason" for each file that is not used."""
    failed = [(listing.sources[index].path, reason) for index, reason in reading.failed]
    reasons = [*listing.left_out, *failed]
    return tuple(f"{below(path, listing.folder)}: {reason}" for path, reason in reasons)


def _report(listing: Listing, left_out: tuple[str, ...], strict: bool) -> None:
    """Warn of the files that were left out; raise DataError instead if `strict`."""
    if strict:
        title = f"{len(left_out)} left out, which strict does not allow:"
        raise DataError(f"{listing.folder}: " + "\n  ".join([title, *left_out]))
    files = len(listing.sources) + len(listing.left_out)
    title = f"left out {len(left_out)} of {files} files:"
    warnings.warn(f"{listing.folder}: " + "\n  ".join([title, *left_out[:20]]), stacklevel=3)


def _notes(name: str, images: int, reading: Reading) -> tuple[str, ...]:
    """Return what a user should know: the Reading's notes, and how many images the paper used."""
    notes = [f"{number} {what}" for what, number in reading.notes.items()]
    papers = PAPER_IMAGES.get(paper_name(name), images)
    if papers != images:
        notes.append(f"{images} images are here; the paper used {papers}")
    return tuple(notes)
