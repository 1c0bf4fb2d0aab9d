"""Read the files of a data set one after another, and learn who is in which image."""

import hashlib
import itertools
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import error as StructError

import numpy as np
from tqdm.auto import tqdm

from hagan_lite.datasets import folder
from hagan_lite.datasets._duplicates import merge, thumbnail
from hagan_lite.datasets._picture import Picture
from hagan_lite.datasets.pixels import decode
from hagan_lite.datasets.sources import Listing, Source


@dataclass(frozen=True)
class Reading:
    """Hold what the cache stores about images. It names no file and no patient."""

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
    content, people, failures = Content(), People(), Failures()
    notes: Counter[str] = Counter()
    bar = tqdm(listing.sources, desc="reading images", unit="file", leave=False, delay=2)
    for index, source in enumerate(bar):
        if len(people) == listing.limit:
            break
        room = None if listing.limit is None else listing.limit - len(people)
        said: Counter[str] = Counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what libraries warn of names no file
                patient, pictures = read_file(source, said)
                images = [
                    (picture.square(size, channels), picture.digest())
                    for picture in itertools.islice(pictures, room)
                ]
        except Exception as error:  # PIL, nibabel, zlib, pydicom raise two dozen kinds for damage
            failures.add(index, source.path, error)
            continue
        notes.update(said)
        for image, digest in images:
            append(image)
            content.add(digest)
            people.add(image, source.group, "" if listing.patients else patient)
    fingerprint = content.fingerprint(people.named())
    groups = people.groups(listing.patients, notes)
    notes.update(listing.hints)
    notes[MASKS_LEFT_OUT] = listing.masks
    notes["files of other kinds, not looked at"] = listing.others
    return Reading(
        groups=groups.tolist(),
        fingerprint=fingerprint,
        notes={what: n for what, n in notes.items() if n},
        failed=failures.reasons,
        passing=failures.passing,
    )


MASKS_LEFT_OUT = (
    "masks by their names (such as *_mask, *_seg, labels/), left out; 'masks' keeps them"
)


class Content:
    """Make the fingerprint of what was decoded: the images that are used, and whose they are.

    Files that could not be read are not in it. So another decoder, a repaired file and another
    folder per patient give another fingerprint, and another place, size or name does not.
    """

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def add(self, digest: bytes) -> None:
        """Add the checksum of one decoded picture."""
        self.digest.update(digest)

    def fingerprint(self, groups: np.ndarray) -> str:
        """Return 12 hex digits of all that was added and of the groups, (N,) int, by name."""
        whole = self.digest.copy()
        whole.update(_by_first_appearance(groups).astype("<i8").tobytes())
        return whole.hexdigest()[:12]


def _by_first_appearance(groups: np.ndarray) -> np.ndarray:
    """Return groups (N,) renumbered 0, 1, ... in the order in which they come."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


class People:
    """Find out who is in each image: by the file's place, by its DICOM patient, and by likeness."""

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
        groups, merged, chained = merge(np.array(self.thumbnails), self.named(), patients_by_place)
        count = len(np.unique(groups))
        if named:
            notes["folders taken for patients: all DICOM files bear one PatientID"] = count
        if chained:
            notes[
                "groups of pictures that are nearly all alike: "
                "held-out ones are honest only with a folder per patient"
            ] = count
        notes["images with a near duplicate in another group, put into one group with it"] = merged
        return groups

    def named(self) -> np.ndarray:
        """Return each image's group by names alone, (N,) int, before near duplicates are joined."""
        return self._by_name(ignore_patients=self.one_name_for_all())

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
    """Collect files that cannot be read, by their index, and why."""

    def __init__(self) -> None:
        self.reasons: list[tuple[int, str]] = []
        self.passing = False

    def add(self, index: int, path: Path, error: Exception) -> None:
        """Add a failure; the reason does not name the file, for the cache stores it."""
        reason = in_words(path, error)
        for name in (str(path), repr(str(path))[1:-1], path.name, repr(path.name)[1:-1]):
            reason = reason.replace(name, "the file")
        self.reasons.append((index, reason))
        # A disk or memory that failed may work again; a damaged file stays damaged.
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            self.passing = True


def in_words(path: Path, error: Exception) -> str:
    """Return on one line why a file is left out, with what to do where the library does not say."""
    from PIL import Image, UnidentifiedImageError

    if getattr(error, "errno", None) is None and path.is_file() and not path.stat().st_size:
        return "an empty file; copy it again"
    if isinstance(error, UnidentifiedImageError):
        return (
            "not a picture that Pillow reads; open it in a viewer and save it as PNG, "
            "or as TIFF with 8 or 16 bits or 32-bit floats"
        )
    if isinstance(error, Image.DecompressionBombError):
        return "more than 178 million pixels; save it smaller"
    reason = " ".join(str(error).split())
    if "missing dependencies" in reason:  # pydicom lists all plugins that it might have
        return f"{reason.split(' because ')[0]}: pip install 'hagan-lite[dicom]' brings the decoder"
    if type(error) in (
        TypeError,
        AttributeError,
        IndexError,
        KeyError,
        AssertionError,
        StructError,
    ):
        # What a library stumbles over says nothing to a user.
        return f"the file is damaged or of an unusual kind ({reason or type(error).__name__})"
    return reason or type(error).__name__


def read_file(source: Source, notes: Counter[str]) -> tuple[str, Iterator[Picture]]:
    """Return (the patient's name in the file or "", its pictures at their own resolution).

    Adds to `notes` what a user should know. Raises what the reader of the format raises.
    """
    patient = ""
    kind = folder.kind(source.path)
    if source.series:
        from hagan_lite.datasets import _tiff

        planes = _tiff.slices(source.path, source.series, notes)
    elif kind == "picture":
        planes = _one_picture(source.path, notes)
    elif kind == "volume":
        from hagan_lite.datasets import _nifti

        planes = _nifti.slices(source, notes)
    else:
        from hagan_lite.datasets import _dicom

        patient, planes = _dicom.slices(source.path, notes)
    return patient, map(Picture, planes)


def _one_picture(path: Path, notes: Counter[str]) -> Iterator[np.ndarray]:
    """Yield the pixels of a picture file, uint8, unless they show nothing; `notes` counts those."""
    pixels = decode(path)
    if Picture(pixels).shows_nothing():
        notes["constant or nearly constant pictures, dropped"] += 1
    else:
        yield pixels


def below(path: Path, folder: Path) -> str:
    """Return `path` relative to `folder`, with slashes; its name alone where it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
