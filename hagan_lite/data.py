"""Images in, uint8 arrays out: the embedded brain slices, COVID-CT, or any folder of images (Section IV-A)."""

import hashlib
import importlib.metadata
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from hagan_lite.config import BUILD, DATASETS, ROOT
from hagan_lite.pixels import decode, pad_to_square, resize
from hagan_lite.storage import write_atomically

VERSION = 1  # of the preprocessing below: raise it when what it makes changes
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
EMBEDDED = "no files at hand? 'mni152' is embedded and needs none"


class DataError(ValueError):
    """A data set that cannot be used; the message names what, where, and what to do."""


@dataclass(frozen=True)
class Dataset:
    """What `load` returns. `groups` says which images belong to one patient, volume or block of slices."""

    name: str  # the data set's name; 'folder' for a user's own
    images: np.ndarray  # (N, C, size, size) uint8
    groups: np.ndarray  # (N,) int
    fingerprint: str  # 12 hex digits of the source's content: records with different ones never share a column
    left_out: tuple[str, ...] = ()  # what could not be used, and why

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


def load(name: str, size: int = 64, channels: int = 1) -> Dataset:
    """A named data set, or a folder of images, at size x size pixels and 1 or 3 channels.

    Decoded arrays are cached below build/cache by the source's content. Images that cannot be read are left out, with
    a warning that names them. Raises DataError where nothing is left, or the data set is missing.
    """
    if name in ("mni152", "mni152-all"):
        key = f"{name}-nilearn{importlib.metadata.version('nilearn')}"
        return _cached(key, size, channels, lambda: _mni152(name, size, channels))
    folder = _folder_of(name)
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise DataError(f"{name}: no images ({', '.join(SUFFIXES)}) under {folder}; {EMBEDDED}")
    label = name if name in DATASETS else "folder"
    fingerprint = _fingerprint(folder, files)
    found = _cached(
        f"{label}-{fingerprint}", size, channels, lambda: _from_files(label, folder, files, size, channels, fingerprint)
    )
    if found.left_out:
        listing = "\n  ".join([f"left out {len(found.left_out)} of {len(files)} images:", *found.left_out[:20]])
        warnings.warn(f"{folder}: {listing}", stacklevel=2)
    return found


def _folder_of(name: str) -> Path:
    if name == "covid-ct":
        folder = data_root() / "covid-ct" / "CT_NonCOVID"
        if not folder.is_dir():
            raise DataError(
                f"covid-ct: no folder {folder}; put the CT_NonCOVID images of the public COVID-CT-Dataset "
                "(Yang et al., arXiv:2003.13865) there, or set HAGAN_DATA to the folder that holds covid-ct/; "
                + EMBEDDED
            )
        return folder
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise DataError(f"{name}: neither a data set ({', '.join(DATASETS)}) nor a folder; {EMBEDDED}")
    return folder


def _mni152(name: str, size: int, channels: int) -> Dataset:
    """Slices with at least a third of the largest slice's brain; about 115 axial, 375 along all three axes.

    Cropped to the brain's bounding box over the whole volume, so that the brain keeps its size from slice to slice;
    padded to square; windowed from 0.25 to 0.9 of the template's range, which puts grey matter near mid-grey and white
    matter near white. Neighbouring slices are alike, so blocks of twelve form a group.
    """
    from nilearn.datasets import load_mni152_template  # three seconds: only where the cache is cold

    volume = load_mni152_template(resolution=1).get_fdata(dtype=np.float32)  # RAS, 1 mm, 0..1
    fingerprint = hashlib.sha256(volume.tobytes()).hexdigest()[:12]
    brain = volume > 0.05
    corners = [np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    box = tuple(slice(low, high + 1) for low, high in corners)
    volume, brain = volume[box], brain[box]
    volume = np.clip((volume - 0.25) / (0.9 - 0.25), 0, 1)
    images, groups = [], []
    for axis in (2, 1, 0) if name == "mni152-all" else (2,):
        area = brain.sum(axis=tuple({0, 1, 2} - {axis}))
        start = max(groups, default=-1) + 1
        for n, i in enumerate(np.flatnonzero(area >= area.max() / 3)):
            plane = np.rot90(volume.take(i, axis))  # anterior or superior up
            images.append(resize(pad_to_square(plane), size))
            groups.append(start + n // 12)
    array = np.stack(images)[:, None].repeat(channels, axis=1)
    return Dataset(name, array, np.array(groups), fingerprint)


def _from_files(label: str, folder: Path, files: list[Path], size: int, channels: int, fingerprint: str) -> Dataset:
    images, keys, left_out = [], [], []
    for path in files:
        try:
            images.append(decode(path, size, channels))
            keys.append(_group_key(path.relative_to(folder)))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, UnidentifiedImageError) as error:
            left_out.append(f"{path.relative_to(folder)}: {error}")
    if not images:
        raise DataError(f"{folder}: none of {len(files)} images can be read; the first: {left_out[0]}; {EMBEDDED}")
    groups = np.unique(keys, return_inverse=True)[1]
    return Dataset(label, np.stack(images), groups, fingerprint, tuple(left_out))


def _group_key(path: Path) -> str:
    """Who is in the picture: the sub-folder, or COVID-CT's number before '%' (one case's images); else the file."""
    return path.parts[0] if len(path.parts) > 1 else path.stem.split("%")[0]


def _fingerprint(folder: Path, files: list[Path]) -> str:
    """Of the images and of their places below the folder, which say whose they are; not of where the folder is."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _cached(key: str, size: int, channels: int, make) -> Dataset:
    """The cached Dataset, or `make()` stored for next time. A damaged cache is made again."""
    path = BUILD / "cache" / f"{key}-{size}px-{channels}ch-v{VERSION}.npz"
    try:
        with np.load(path, allow_pickle=False) as f:
            found = Dataset(
                str(f["name"]), f["images"], f["groups"], str(f["fingerprint"]), tuple(map(str, f["left_out"]))
            )
    except Exception:  # not there, or damaged: numpy, zipfile and zlib raise a dozen kinds
        found = make()
        fields = dict(vars(found)) | {"left_out": np.array(found.left_out, dtype=str)}
        write_atomically(path, lambda f: np.savez_compressed(f, **fields))
    return found
