"""Images in, uint8 arrays out: a named data set or anybody's folder, cached, grouped by patient (Section IV-A)."""

import hashlib
import importlib.util
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from hagan_lite.config import DATASETS
from hagan_lite.datasets import cache, folder, mni152
from hagan_lite.datasets._duplicates import merge, thumbnail
from hagan_lite.datasets.pixels import decode
from hagan_lite.datasets.sources import DataError, Found, Source
from hagan_lite.paper import PAPER_IMAGES, paper_name
from hagan_lite.system.paths import ROOT

VERSION = 2  # of the preprocessing: raise it when what it makes changes
EMBEDDED = "no files at hand? 'mni152' is embedded and needs none"


@dataclass(frozen=True)
class Dataset:
    """What `load` returns. `groups` says which images belong to one patient, volume or block of slices."""

    name: str  # the data set's name; 'folder' for a user's own
    images: np.ndarray  # (N, C, size, size) uint8, read-only
    groups: np.ndarray  # (N,) int
    fingerprint: str  # 12 hex digits of the source's content: records with different ones never share a column
    left_out: tuple[str, ...] = ()  # what could not be used, and why; it names files
    notes: tuple[str, ...] = ()  # what else a user should know, in numbers; it names none

    def __len__(self) -> int:
        return len(self.images)

    def split(self, heldout: float) -> tuple[np.ndarray, np.ndarray]:
        """Indices (training, held out): whole groups, the same for every seed. heldout=0 holds nothing out."""
        order = np.random.default_rng(0).permutation(np.unique(self.groups))
        sizes = np.array([(self.groups == g).sum() for g in order])
        taken = order[: int(np.searchsorted(sizes.cumsum(), heldout * len(self)) + 1)] if heldout else order[:0]
        out = np.isin(self.groups, taken)
        if out.all():
            raise DataError(f"{self.name}: heldout={heldout} leaves nothing to train on; it has {len(order)} group(s)")
        return np.flatnonzero(~out), np.flatnonzero(out)


def data_root() -> Path:
    """Where data sets are looked for: HAGAN_DATA, else data/; a relative path starts at the checkout, so that it means
    the same in a shell and in a notebook."""
    return ROOT / os.environ.get("HAGAN_DATA", "data")


def load(name: str, size: int = 64, channels: int = 1, strict: bool = False) -> Dataset:
    """A named data set, or a folder of images, at size x size pixels and 1 or 3 channels.

    Decoded arrays are cached below build/cache and mapped from there. What cannot be read is left out, with a warning
    that names it. Raises DataError where nothing is left, the data set is missing, or, with `strict`, anything at all
    was left out.
    """
    if size < 1 or channels not in (1, 3):
        raise DataError(
            f"{name}: {size} pixels a side and {channels} channels; choose 1 or more pixels, 1 or 3 channels"
        )
    if name in ("mni152", "mni152-all"):
        return _embedded(name, size, channels)
    found, label = find(name), name if name in DATASETS else "folder"
    key = f"{label}-{_state(found)}-{size}px-{channels}ch-v{VERSION}"
    fresh: dict[str, Any] = dict(groups=[], failed=[], passing=False)
    images, about = cache.kept(key, _planes(found, size, channels, fresh), (channels, size, size), fresh)
    if about["passing"]:
        cache.forget(key)
    failed = [(found.sources[i].path, why) for i, why in about["failed"]]
    left_out = tuple(f"{_below(path, found.folder)}: {why}" for path, why in [*found.left_out, *failed])
    if not len(images):
        first = f"; the first: {left_out[0]}" if left_out else ""
        raise DataError(f"{name}: nothing can be read of what is in {found.folder}{first}; {EMBEDDED}")
    if strict and left_out:
        listing = "\n  ".join([f"{len(left_out)} left out, which strict does not allow:", *left_out])
        raise DataError(f"{found.folder}: {listing}")
    if left_out:
        listing = [f"left out {len(left_out)} of {len(found.sources) + len(found.left_out)} files:", *left_out[:20]]
        warnings.warn(f"{found.folder}: " + "\n  ".join(listing), stacklevel=2)
    notes = [f"{n} {what}" for what, n in about["notes"].items()]
    if (paper := PAPER_IMAGES.get(paper_name(name), len(images))) != len(images):
        notes.append(f"{len(images)} images are here; the paper used {paper}")
    return Dataset(label, images, np.array(about["groups"]), about["fingerprint"], left_out, tuple(notes))


def find(name: str) -> Found:
    """Which files a data set's name or a user's folder means. Raises DataError where they are not there."""
    if name not in DATASETS:
        place = Path(name).expanduser()
        if not place.is_dir():
            raise DataError(f"{name}: neither a data set ({', '.join(DATASETS)}) nor a folder; {EMBEDDED}")
        found = folder.find(place)
    else:
        base = paper_name(name)
        try:
            module = importlib.import_module(f"hagan_lite.datasets.{base.replace('-', '_')}")
            found = module.find(data_root(), name[len(base) + 1 :])
        except DataError as error:
            raise DataError(f"{name}: {error}; {EMBEDDED}") from error
    if not found.sources and not found.left_out:
        raise DataError(f"{name}: no images below {found.folder}; give {folder.HELP}; {EMBEDDED}")
    return found


def _embedded(name: str, size: int, channels: int) -> Dataset:
    key = f"{name}-{mni152.version()}-{size}px-{channels}ch-v{VERSION}"
    fresh: dict[str, Any] = dict(groups=[])

    def stream() -> Iterator[np.ndarray]:
        fresh["fingerprint"], planes = mni152.slices(size, every_axis=name == "mni152-all")
        for plane, group in planes:
            fresh["groups"].append(group)
            yield plane[None].repeat(channels, axis=0)

    images, about = cache.kept(key, stream(), (channels, size, size), fresh)
    return Dataset(name, images, np.array(about["groups"]), about["fingerprint"])


def _planes(found: Found, size: int, channels: int, about: dict[str, Any]) -> Iterator[np.ndarray]:
    """All images in order, (C, size, size) uint8. Fills `about`: groups, fingerprint, notes, and [index, why] of files
    that failed; no name of a file, and no patient's."""
    digest, small, names, notes, used, hashed = hashlib.sha256(), [], [], Counter(), 0, None
    for i, source in enumerate(tqdm(found.sources, desc="reading images", unit="file", leave=False, delay=2)):
        path = source.path
        if used == found.limit:
            break
        try:
            if path != hashed:  # two frames of one file count once
                digest.update(os.fsencode(_below(path, found.folder)))
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
                hashed = path
            if (source.frame, source.slices) != (None, None):  # of one file others may have been asked for
                digest.update(repr((source.frame, source.slices)).encode())
            patient, planes = _read(source, size, channels, notes)
            for plane in planes:
                if used == found.limit:
                    break
                used += 1
                small.append(thumbnail(plane))
                names.append((source.group, patient))
                yield plane
        except Exception as error:  # PIL, nibabel, zlib and pydicom raise two dozen kinds for damage
            why = str(error) or type(error).__name__
            for name in (str(path), repr(str(path))[1:-1], path.name, repr(path.name)[1:-1]):
                why = why.replace(name, "the file")
            about["failed"].append([i, why])
            # A disk or memory that failed may work again; a damaged file stays one.
            about["passing"] |= isinstance(error, MemoryError) or getattr(error, "errno", None) is not None
    groups, one_patient = _groups(names)
    groups, merged, chained = merge(np.array(small), groups, found.patients)
    if one_patient:
        notes["folders taken for patients: all DICOM files bear one PatientID"] = len(np.unique(groups))
    if chained:
        notes[
            "groups of pictures that are nearly all alike: held-out ones are honest only with a folder per patient"
        ] = len(np.unique(groups))
    if found.others:
        notes["files of other kinds, not looked at"] = found.others
    if merged:
        notes["near duplicates of another group's images, put into one group with them"] = merged
    about |= dict(groups=groups.tolist(), fingerprint=digest.hexdigest()[:12])
    about |= dict(notes={what: n for what, n in notes.items() if n})


def _groups(names: list[tuple[str, str]]) -> tuple[np.ndarray, bool]:
    """Of (group by its place, DICOM patient or "") per image: who is who, 0, 1, ...; whether the patients told nothing,
    for all are called the same, as in anonymised files."""
    places, patients = {place for place, _ in names}, {patient for _, patient in names}
    nobody = len(patients) == 1 and patients != {""} and len(places) > 1
    keys = [place if nobody or not patient else f"patient {patient}" for place, patient in names]
    return np.unique(np.array(keys, dtype=str), return_inverse=True)[1], nobody


def _read(source: Source, size: int, channels: int, notes: Counter[str]) -> tuple[str, Iterator[np.ndarray]]:
    """(the patient, where the file itself says who it is, its images) of one Source."""
    what = folder.kind(source.path)
    if source.series:
        from hagan_lite.datasets import _tiff

        patient, planes = "", _tiff.slices(source.path, source.series, size, notes)
    elif what == "picture":
        return "", iter([decode(source.path, size, channels)])
    elif what == "volume":
        from hagan_lite.datasets import _nifti

        patient, planes = "", _nifti.slices(source, size, notes)
    else:
        from hagan_lite.datasets import _dicom

        patient, planes = _dicom.slices(source.path, size, notes)
    return patient, (plane[None].repeat(channels, axis=0) for plane in planes)


def _state(found: Found) -> str:
    """12 hex digits of which files are there, how large and how old: what the cache goes by, without opening one."""
    # What was left out for want of one of these is read again once it is installed.
    can_read = [importlib.util.find_spec(name) is not None for name in ("pydicom", "pylibjpeg", "gdcm", "jpeg_ls")]
    digest = hashlib.sha256(repr((found.limit, can_read)).encode())
    for source in found.sources:
        try:
            stat = source.path.stat()
            state = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)  # the last moves when permissions do
        except OSError:
            state = ()
        digest.update(repr((_below(source.path, found.folder), source.frame, source.slices, *state)).encode())
    return digest.hexdigest()[:12]


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
