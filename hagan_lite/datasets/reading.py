"""Read the files of a data set one after another, and learn who is in which image."""

import hashlib
import itertools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from struct import error as StructError

import numpy as np
from tqdm.auto import tqdm

from hagan_lite.datasets import folder
from hagan_lite.datasets._people import Owner, People
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
                owner, pictures = read_file(source, said, listing.flat)
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
            people.add(image, source, Owner() if listing.patients else owner)
    named = people.named(notes)
    fingerprint = content.fingerprint(named)
    groups = people.groups(named, listing.patients, notes)
    paths = [source.path for source in listing.sources]
    # The kind of a file without a suffix is in its content: only beside volumes it is looked up.
    if any(path.name.lower().endswith(folder.VOLUMES) for path in paths):
        notes[SIDES_DIFFER] = sum(folder.kind(path) == "dicom" for path in paths)
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

SIDES_DIFFER = (
    "DICOM files beside volumes: a volume's slices have the patient's left on the left, DICOM's "
    "stay as they are stored, so one kind may mirror the other; a folder of one kind is safer"
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


class Failures:
    """Collect files that cannot be read, by their index, and why."""

    def __init__(self) -> None:
        self.reasons: list[tuple[int, str]] = []
        self.passing = False

    def add(self, index: int, path: Path, error: Exception) -> None:
        """Add a failure; the reason does not name the file, for the cache stores it."""
        self.reasons.append((index, _without_name(in_words(path, error), path)))
        # A disk or memory that failed may work again; a damaged file stays damaged.
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            self.passing = True


def _without_name(reason: str, path: Path) -> str:
    """Return a reason with "the file" for the path, and for its name.

    A name such as "1", "a" or "of" is replaced only in quotes: elsewhere it is a number or a word.
    """
    for whole in (str(path), repr(str(path))[1:-1]):
        reason = reason.replace(whole, "the file")
    for name in (path.name, repr(path.name)[1:-1]):
        spelled = re.escape(name)
        reason = re.sub(rf"(['\"]){spelled}\1", "the file", reason)
        if len(name) > 2 and any(letter.isalpha() for letter in name):
            reason = re.sub(rf"(?<!\w){spelled}(?!\w)", "the file", reason)
    return reason


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


def read_file(
    source: Source, notes: Counter[str], flat: bool = False
) -> tuple[Owner, Iterator[Picture]]:
    """Return (what the file says of its owner, its pictures at their own resolution).

    Keeps pictures that show nothing if `flat`. Adds to `notes` what a user should know. Raises what
    the reader of the format raises.
    """
    owner = Owner()
    kind = folder.kind(source.path)
    if source.series:
        from hagan_lite.datasets import _tiff

        planes = _tiff.slices(source.path, source.series, notes)
    elif kind == "picture":
        planes = _one_picture(source.path, notes, flat)
    elif kind == "volume":
        from hagan_lite.datasets import _nifti

        planes = _nifti.slices(source, notes)
    else:
        from hagan_lite.datasets import _dicom

        owner, planes = _dicom.slices(source.path, notes)
    return owner, map(Picture, planes)


def _one_picture(path: Path, notes: Counter[str], flat: bool) -> Iterator[np.ndarray]:
    """Yield the pixels of a picture file, uint8; `notes` counts those that show nothing.

    They are dropped unless `flat`.
    """
    pixels = decode(path)
    if not flat and Picture(pixels).shows_nothing():
        notes["constant or nearly constant pictures, dropped"] += 1
    else:
        yield pixels


def below(path: Path, folder: Path) -> str:
    """Return `path` relative to `folder`, with slashes; its name alone where it lies elsewhere."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
