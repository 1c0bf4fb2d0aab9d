"""Load a named data set or anybody's folder: uint8 images, cached, grouped by patient (IV-A)."""

import hashlib
import importlib.metadata
import importlib.util
import os
import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hagan_lite.config import DATASETS, Experiment
from hagan_lite.datasets import arrays, cache, folder, mni152
from hagan_lite.datasets._people import few_and_large
from hagan_lite.datasets.reading import Reading, below, read_files
from hagan_lite.datasets.sources import DataError, Listing
from hagan_lite.paper import PAPER_IMAGES, paper_name
from hagan_lite.system.paths import chosen

VERSION = 6  # of the preprocessing: raise it when the images that it makes or their groups change
FOLDERS_ARE_PATIENTS = (
    "a folder per class is taken for a patient: use a folder per patient, or give --patient REGEX"
)
EMBEDDED = "no files at hand? 'mni152' is embedded and needs none"


@dataclass(frozen=True)
class Dataset:
    """Hold images, and which of them are of one patient, volume or block of slices (`groups`)."""

    name: str  # the data set's name; 'folder' for a user's own
    images: np.ndarray  # (N, C, size, size) uint8, read-only
    groups: np.ndarray  # (N,) int
    fingerprint: str  # 12 hex digits of what was decoded; where it differs, records share no column
    left_out: tuple[str, ...] = ()  # what could not be used, and why; names files
    notes: tuple[str, ...] = ()  # what else a user should know, in numbers; names no file

    def __len__(self) -> int:
        return len(self.images)

    def split(self, heldout: float, most: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Return indices (training, held out), (N,) int: whole groups, the same for every seed.

        `heldout` is the share of images held out; 0 holds nothing out. At most `most` images are
        for training, 0 for all the others: patient by patient, so that a smaller training set is a
        subset of a larger one, and what is held out stays the same. Warns if large groups push the
        held-out share far from `heldout`. Raises DataError where nothing is left to train on.
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
        if out.mean() > 2 * heldout + 0.05:
            warnings.warn(
                f"{self.name}: heldout={heldout} asks for {heldout * len(self):.0f} images and "
                f"{out.sum()} of {len(self)} are held out, for there are only {len(order)} groups; "
                f"{FOLDERS_ARE_PATIENTS}",
                stacklevel=2,
            )
        training = np.flatnonzero(~out)
        if most:
            place = {group: i for i, group in enumerate(order)}
            by_group = sorted(training, key=lambda i: place[self.groups[i]])
            training = np.sort(by_group[:most])
        return training, np.flatnonzero(out)


def data_root() -> Path:
    """Return the folder of data sets: HAGAN_DATA, else data/."""
    return chosen("HAGAN_DATA", "data")


def load_for(e: Experiment, dataset: str = "", strict: bool = False) -> Dataset:
    """Load an experiment's images; `dataset` says where they are if a run folder does not.

    Raises DataError as :func:`load` does, and for a user's folder whose path nobody gave.
    """
    if not dataset and e.dataset == "folder" and not Path("folder").is_dir():
        raise DataError(
            "this run was trained on a folder of your own, and its path is kept nowhere: "
            "give it by --dataset PATH"
        )
    return load(dataset or e.dataset, e.size, e.channels, strict, e.masks, e.patient)


def load(
    name: str,
    size: int = 64,
    channels: int = 1,
    strict: bool = False,
    masks: bool = False,
    patient: str = "",
    flat: bool = False,
) -> Dataset:
    """Load a named data set, or a folder of images, at size x size pixels and 1 or 3 channels.

    In a user's folder, `masks` keeps files whose names say that they are masks, the regular
    expression `patient` finds in each path below the folder who is in the picture, and `flat` keeps
    pictures that show nothing.

    Decoded arrays are cached below build/cache and mapped from there. A ready array of a named data
    set (arrays.py) is taken before any files. A warning names files that cannot be read. Raises
    DataError where no image is left, where the data set is missing, where `masks` or `patient` is
    given for a named data set, or, with `strict`, where any file was left out.
    """
    if name in DATASETS and (patient or masks):
        raise DataError(f"{name}: patient and masks are for a folder of your own")
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
    listing = replace(find(name, masks, patient), flat=flat)
    label = name if name in DATASETS else "folder"
    images, reading = _read_cached(label, listing, size, channels)
    left_out = _left_out(listing, reading)
    if not len(images):
        notes = [f"{number} {what}" for what, number in reading.notes.items()]
        why = [*notes, *(f"the first left out: {line}" for line in left_out[:1])]
        raise DataError(
            f"{name}: " + "; ".join([f"no image to use in {listing.folder}", *why, EMBEDDED])
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


def find(name: str, masks: bool = False, patient: str = "") -> Listing:
    """Return the files of a named data set or of a user's folder; see :func:`load`.

    Raises DataError where they are not there, with what to put where, and for an empty name.
    """
    if not name.strip():
        raise DataError(f"an empty name; give a data set ({', '.join(DATASETS)}) or a folder")
    if name in DATASETS:
        listing = _find_named(name)
    else:
        place = Path(name).expanduser()
        if place.is_file():
            raise DataError(f"{name} is a file; give the folder that it is in")
        if not place.is_dir():
            names = ", ".join(DATASETS)
            raise DataError(f"{name}: neither a data set ({names}) nor a folder; {EMBEDDED}")
        listing = folder.find(place, masks=masks, patient=patient)
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

    Of "acdc-1798" they are acdc.py and "1798", of "covid-ct" covid_ct.py and "". Raises DataError
    where there is no such file, or where it is not a data set's own.
    """
    words = name.split("-")
    for n in range(len(words), 0, -1):
        file = f"hagan_lite.datasets.{'_'.join(words[:n])}"
        if importlib.util.find_spec(file):
            module = importlib.import_module(file)
            if module is folder or not hasattr(module, "find"):
                raise DataError(
                    f"{name}: {file.rpartition('.')[2]}.py finds no data set, it serves all of "
                    "them; give the data set another name"
                )
            return module, "-".join(words[n:])
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
    listed = (listing.limit, listing.patients, listing.masks, listing.hints, listing.flat)
    digest = hashlib.sha256(repr((*listed, _decoders())).encode())
    for source in listing.sources:
        try:
            stat = source.path.stat()
            # st_ctime moves when permissions do.
            state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        except OSError:
            state = ()
        name = below(source.path, listing.folder)
        part = (name, source.group, source.frame, source.slices, *state)
        digest.update(os.fsencode(repr(part)))
    return digest.hexdigest()[:12]


DECODERS = {
    "pydicom": "pydicom",
    "pylibjpeg": "pylibjpeg",
    "libjpeg": "pylibjpeg-libjpeg",
    "openjpeg": "pylibjpeg-openjpeg",
    "rle": "pylibjpeg-rle",
    "gdcm": "python-gdcm",
    "jpeg_ls": "pyjpegls",
    "PIL": "pillow",
    "nibabel": "nibabel",
}
"""The module and the package of all that decodes files."""


def _decoders() -> list[str]:
    """Return which decoders are here, with their versions.

    Files that were left out for want of one are read again once it is installed or renewed.
    """
    here = []
    for module, package in DECODERS.items():
        if importlib.util.find_spec(module) is not None:
            try:
                here.append(f"{module} {importlib.metadata.version(package)}")
            except importlib.metadata.PackageNotFoundError:
                here.append(module)
    return here


def _left_out(listing: Listing, reading: Reading) -> tuple[str, ...]:
    """Return a line "file: reason" for each file that is not used."""
    failed = [(listing.sources[index].path, reason) for index, reason in reading.failed]
    reasons = [*listing.left_out, *failed]
    lines = []
    for path, reason in reasons:
        name = below(path, listing.folder).replace("\n", "\\n")  # each file has one line
        lines.append(f"{name}: {reason}")
    return tuple(lines)


def _report(listing: Listing, left_out: tuple[str, ...], strict: bool) -> None:
    """Warn of the files that were left out; raise DataError instead if `strict`."""
    if strict:
        title = f"{len(left_out)} left out, which strict does not allow:"
        raise DataError(f"{listing.folder}: " + "\n  ".join([title, *left_out]))
    files = len(listing.sources) + len(listing.left_out)
    title = f"left out {len(left_out)} of {files} files:"
    warnings.warn(f"{listing.folder}: " + "\n  ".join([title, *left_out[:20]]), stacklevel=3)


def _notes(name: str, images: int, reading: Reading) -> tuple[str, ...]:
    """Return what a user should know of a data set.

    That is the Reading's notes, how many images the paper used, and whether groups are too few and
    too large to be patients.
    """
    notes = [f"{number} {what}" for what, number in reading.notes.items()]
    papers = PAPER_IMAGES.get(paper_name(name), images)
    if papers != images:
        notes.append(f"{images} images are here; the paper used {papers}")
    sizes = np.bincount(reading.groups)
    if name not in DATASETS and few_and_large(np.array(reading.groups)):
        largest = f"{sizes.size} groups, the largest of {sizes.max()} images"
        notes.append(f"{largest}: {FOLDERS_ARE_PATIENTS}")
    return tuple(notes)
