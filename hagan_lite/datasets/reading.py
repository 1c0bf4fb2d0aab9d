"""Read the files of a data set one after another, and learn who is in which image."""

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from hagan_lite.datasets import folder
from hagan_lite.datasets._duplicates import merge, thumbnail
from hagan_lite.datasets.pixels import decode
from hagan_lite.datasets.sources import Listing, Source


@dataclass(frozen=True)
class Reading:
    """What the cache stores about images. It names no file and no patient."""

    groups: list[int]  # of each image, 0, 1, ...
    fingerprint: str
    notes: dict[str, int] = field(default_factory=dict)  # a sentence without its number: the number
    failed: list[tuple[int, str]] = field(default_factory=list)  # (index of the source, reason)
    passing: bool = False  # a reason may pass: the disk or the memory failed, not a file


def read_files(
    listing: Listing, size: int, channels: int, append: Callable[[np.ndarray], None]
) -> Reading:
    """Read all files of `listing` in order and pass each image, (C, size, size) uint8, to `append`.

    The images of one file are in memory at a time. A file that cannot be read is left out whole
    and is listed in the Reading's `failed`.
    """
    content, people, failures = Content(listing.folder), People(), Failures()
    notes: Counter[str] = Counter()
    bar = tqdm(listing.sources, desc="reading images", unit="file", leave=False, delay=2)
    for index, source in enumerate(bar):
        if len(people) == listing.limit:
            break
        room = None if listing.limit is None else listing.limit - len(people)
        try:
            content.add(source)
            patient, planes = read_file(source, size, channels, notes)
            images = list(itertools.islice(planes, room))
        except Exception as error:  # PIL, nibabel, zlib, pydicom raise two dozen kinds for damage
            failures.add(index, source.path, error)
            continue
        for image in images:
            append(image)
            people.add(image, source.group, patient)
    groups = people.groups(listing.patients, notes)
    notes["files of other kinds, not looked at"] = listing.others
    return Reading(
        groups=groups.tolist(),
        fingerprint=content.fingerprint(),
        notes={what: n for what, n in notes.items() if n},
        failed=failures.reasons,
        passing=failures.passing,
    )


class Content:
    """The fingerprint of all bytes that are read, and of their files' names below one folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.digest = hashlib.sha256()
        self.last: Path | None = None

    def add(self, source: Source) -> None:
        """Add a source; a file counts once where several frames of it follow each other.

        Raises OSError where the file cannot be read.
        """
        path = source.path
        if path != self.last:
            self.digest.update(os.fsencode(below(path, self.folder)))
            with path.open("rb") as file:
                self.digest.update(hashlib.file_digest(file, "sha256").digest())
            self.last = path
        part = (source.frame, source.slices)
        if part != (None, None):  # other parts of the same file are other images
            self.digest.update(repr(part).encode())

    def fingerprint(self) -> str:
        """Return the first 12 hex digits of all that was added."""
        return self.digest.hexdigest()[:12]


class People:
    """Who is in each image: by the file's place, by its DICOM patient, and by likeness."""

    def __init__(self) -> None:
        self.thumbnails: list[np.ndarray] = []
        self.places: list[str] = []
        self.patients: list[str] = []

    def __len__(self) -> int:
        return len(self.places)

    def add(self, image: np.ndarray, place: str, patient: str) -> None:
        """Add an image (C, S, S) uint8, its file's group, and the file's own patient or ""."""
        self.thumbnails.append(thumbnail(image))
        self.places.append(place)
        self.patients.append(patient)

    def groups(self, patients_by_place: bool, notes: Counter[str]) -> np.ndarray:
        """Return each image's group, (N,) int, and add to `notes` how the groups came about.

        `patients_by_place`: the data set's layout names patients, so only copies are joined.
        """
        named = self.one_name_for_all()
        by_name = self._by_name(ignore_patients=named)
        groups, merged, chained = merge(np.array(self.thumbnails), by_name, patients_by_place)
        count = len(np.unique(groups))
        if named:
            notes["folders taken for patients: all DICOM files bear one PatientID"] = count
        if chained:
            notes[
                "groups of pictures that are nearly all alike: "
                "held-out ones are honest only with a folder per patient"
            ] = count
        notes["near duplicates of another group's images, put into one group with them"] = merged
        return groups

    def one_name_for_all(self) -> bool:
        """Return whether files of several places bear one patient's name, as anonymised ones do."""
        names = set(self.patients)
        return len(names) == 1 and names != {""} and len(set(self.places)) > 1

    def _by_name(self, ignore_patients: bool) -> np.ndarray:
        """Return (N,) int: a number for each patient, or for each place where none is named."""
        names = []
        for place, patient in zip(self.places, self.patients, strict=True):
            by_place = ignore_patients or not patient
            names.append(place if by_place else f"patient {patient}")
        return np.unique(np.array(names, dtype=str), return_inverse=True)[1]


class Failures:
    """Files that cannot be read, by their index, and why."""

    def __init__(self) -> None:
        self.reasons: list[tuple[int, str]] = []
        self.passing = False

    def add(self, index: int, path: Path, error: Exception) -> None:
        """Add a failure; the reason does not name the file, for the cache stores it."""
        reason = str(error) or type(error).__name__
        for name in (str(path), repr(str(path))[1:-1], path.name, repr(path.name)[1:-1]):
            reason = reason.replace(name, "the file")
        self.reasons.append((index, reason))
        # A disk or memory that failed may work again; a damaged file stays damaged.
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            self.passing = True


def read_file(
    source: Source, size: int, channels: int, notes: Counter[str]
) -> tuple[str, Iterator[np.ndarray]]:
    """Return (the patient's name in the file or "", its images, each (C, size, size) uint8).

    Adds to `notes` what a user should know. Raises what the reader of the format raises.
    """
    patient = ""
    kind = folder.kind(source.path)
    if source.series:
        from hagan_lite.datasets import _tiff

        planes = _tiff.slices(source.path, source.series, size, notes)
    elif kind == "picture":
        return patient, iter([decode(source.path, size, channels)])
    elif kind == "volume":
        from hagan_lite.datasets import _nifti

        planes = _nifti.slices(source, size, notes)
    else:
        from hagan_lite.datasets import _dicom

        patient, planes = _dicom.slices(source.path, size, notes)
    return patient, (plane[None].repeat(channels, axis=0) for plane in planes)


def below(path: Path, folder: Path) -> str:
    """Return `path` relative to `folder`, with slashes; its name alone where it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
