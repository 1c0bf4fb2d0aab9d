"""Cut NIfTI volumes into slices: canonical orientation, square pixels, one window a volume.

One volume is in memory at most.
"""

import contextlib
import gzip
import logging
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import io_orientation

from hagan_lite.datasets.pixels import crop_to_square, isotropic, pad_to_square, window_of
from hagan_lite.datasets.sources import Source

nib.imageglobals.logger.setLevel(logging.CRITICAL)  # what it mends in a header names no file
SAMPLE = 2_000_000
"""At most so many voxels of a volume decide its window."""


def slices(source: Source, notes: Counter[str]) -> Iterator[np.ndarray]:
    """Yield the wanted slices of one file as planes (S, S) float in [0, 1].

    They come from the feet to the head, or along the thick axis. Adds to `notes` what a user
    should know. Raises ValueError, OSError or what nibabel raises for a file that cannot be used.
    """
    image = _opened(source.path)
    volume = Volume(image, _frame_of(image.shape, source.frame, notes), notes)
    step = math.ceil(math.sqrt(math.prod(image.shape[:3]) / SAMPLE))
    samples, constant, holes = [], np.zeros(volume.count, bool), 0
    for k in range(volume.count):
        plane = volume.read(k)
        finite = plane[np.isfinite(plane)]
        holes += plane.size - finite.size
        constant[k] = not finite.size or finite.min() == finite.max()
        samples.append(plane[::step, ::step])
    low, high = window_of(np.concatenate([sample.ravel() for sample in samples]))
    notes["constant slices, dropped"] += int(constant.sum())
    if holes:
        notes["volumes with NaN or infinite voxels, which became background"] += 1
    chosen = np.flatnonzero(~constant)
    if source.slices:
        area = np.array([(sample > low).mean() for sample in samples])  # NaN is above nothing
        chosen = np.flatnonzero(~constant & (area >= area.max() / 10))
        chosen = _evenly_spaced(chosen, source.slices)
    for k in chosen:
        plane = np.nan_to_num(volume.read(k), nan=low, posinf=low, neginf=low)
        plane = isotropic(np.clip((plane - low) / (high - low), 0, 1), volume.spacing)
        yield crop_to_square(plane) if source.crop else pad_to_square(plane, 0)


def _opened(path: Path) -> nib.Nifti1Image:
    """Open a NIfTI file, however its suffix is spelled.

    Raises ValueError where the suffix and the content disagree about compression.
    """
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    if compressed != path.name.lower().endswith(".gz"):
        is_so, name = ("", ".nii.gz") if compressed else ("not ", ".nii")
        raise ValueError(f"it is {is_so}compressed, against its name; let the name end in {name}")
    if compressed:
        _check_sum(path)
    # With the file closed, each slice would unpack a .nii.gz from its start.
    if path.name.endswith((".nii", ".nii.gz")):
        return nib.load(path, keep_file_open=True)
    for kind in (nib.Nifti1Image, nib.Nifti2Image):  # nibabel knows no .Nii.Gz
        with contextlib.suppress(nib.spatialimages.HeaderDataError):
            holder = nib.FileHolder(str(path))
            return kind.from_file_map({"image": holder}, keep_file_open=True)
    raise ValueError("no NIfTI file, whatever its name says; save it again as .nii")


def _check_sum(path: Path) -> None:
    """Raise what gzip raises where a file's checksum is wrong: slices alone never reach its end."""
    with gzip.open(path) as file:
        while file.read(1 << 20):
            pass


def _evenly_spaced(values: np.ndarray, n: int) -> np.ndarray:
    """Return `n` of `values`, the first and the last among them; all if there are fewer."""
    places = np.linspace(0, len(values) - 1, n).round().astype(int)
    return values[np.unique(places)]


def _frame_of(shape: tuple[int, ...], frame: int | None, notes: Counter[str]) -> int | None:
    """Return which frame of an array to read: `frame`, the first of several, or None for 3D.

    Raises ValueError for an array that is no volume, or that lacks the frame.
    """
    if len(shape) < 3 or any(n > 1 for n in shape[4:]):
        raise ValueError(f"an array of shape {shape}; a volume has three axes, or four with time")
    if 0 in shape:
        raise ValueError(f"an array of shape {shape}, without any voxel")
    frames = shape[3] if len(shape) > 3 else 1
    if frame is not None and not 0 <= frame < frames:
        raise ValueError(f"no frame {frame + 1} in an array of shape {shape}")
    if len(shape) == 3:
        return None
    if frame is None and frames > 1:
        notes["4D files, of which the first volume is used"] += 1
    return frame or 0


def _voxel_size(image: nib.Nifti1Image, notes: Counter[str]) -> np.ndarray:
    """Return the voxels' size along the file's three axes in mm, (3,).

    Where the header's pixdim and the affine disagree, the affine is taken, unless it is 1, 1, 1:
    then it was never filled in. For an affine that is not usable pixdim is taken.
    """
    pixdim = np.array(image.header.get_zooms()[:3], float)
    affine = nib.affines.voxel_sizes(image.affine)
    usable = np.isfinite(affine).all() and (affine > 0).all()
    if not usable or np.allclose(pixdim, affine, rtol=0.01):
        return pixdim
    notes["volumes whose header and affine disagree about the size of voxels"] += 1
    return pixdim if np.allclose(affine, 1) else affine


class Volume:
    """Read one volume of a NIfTI file, cut across the axis whose voxels are thickest.

    That is how slices are acquired; where all axes are about alike, the cut is axial. Anterior or
    superior is up, and left is left. Slope and intercept are applied. `count` is the number of
    slices, `spacing` the height and width of their pixels in mm. Of complex voxels it has the
    magnitude. Adds to `notes` where the file had to be overruled.
    """

    def __init__(self, image: nib.Nifti1Image, frame: int | None, notes: Counter[str]):
        if image.dataobj.dtype.fields:
            raise ValueError("a colour volume; save it as one channel")
        self.is_complex = image.dataobj.dtype.kind == "c"
        if self.is_complex:
            notes["complex volumes, of which the magnitude is used"] += 1
        zooms = _voxel_size(image, notes)
        # For each axis of the file: which of R, A, S it is (0, 1, 2), and its direction (1, -1).
        self.orientation = io_orientation(image.affine)
        if not np.isfinite(self.orientation).all():
            self.orientation = np.array([[0, 1], [1, 1], [2, 1]])
        self.through = self._cut(image.shape[:3], zooms)
        in_plane = {0, 1, 2} - {self.through}
        self.across, self.up = sorted(in_plane, key=lambda axis: self.orientation[axis, 0])
        self.count = image.shape[self.through]
        self.spacing = (zooms[self.up], zooms[self.across])
        self.tail = () if frame is None else (frame,) + (0,) * (len(image.shape) - 4)
        self.voxels = image.dataobj
        if self.through != 2:
            # Such slices do not lie in one piece: each would have a gzipped file unpacked from its
            # start, so all of the volume is read at once.
            self.voxels = self._real(image.dataobj[(slice(None),) * 3 + self.tail])
            self.tail = ()

    def _real(self, voxels: np.ndarray) -> np.ndarray:
        """Return voxels as float32; complex ones by their magnitude."""
        return np.asarray(np.abs(voxels) if self.is_complex else voxels, np.float32)

    def _cut(self, shape: tuple[int, ...], zooms: np.ndarray) -> int:
        """Return the axis that slices lie across."""
        if shape.count(1) == 1:  # one slice, whichever way it lies
            return shape.index(1)
        thick = int(zooms.argmax())
        axial = int(np.flatnonzero(self.orientation[:, 0] == 2)[0])
        return thick if zooms[thick] > 1.5 * np.median(zooms) else axial

    def read(self, k: int) -> np.ndarray:
        """Return slice k (H, W) float32."""
        if self.orientation[self.through, 1] < 0:
            k = self.count - 1 - k
        where = tuple(k if axis == self.through else slice(None) for axis in range(3))
        plane = self._real(self.voxels[where + self.tail])
        if self.across > self.up:
            plane = plane.T
        directions = self.orientation[[self.across, self.up], 1].astype(int)
        return np.rot90(plane[:: directions[0], :: directions[1]])
