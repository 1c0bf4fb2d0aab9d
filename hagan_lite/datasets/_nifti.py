"""NIfTI volumes to slices: canonical orientation, square pixels, one window a volume, one volume in memory at most."""

import math
from collections import Counter
from collections.abc import Iterator

import nibabel as nib
import numpy as np
from nibabel.orientations import io_orientation

from hagan_lite.datasets.pixels import crop_to_square, isotropic, pad_to_square, resize, window_of
from hagan_lite.datasets.sources import Source

SAMPLE = 2_000_000
"""At most so many voxels of a volume decide its window."""


def slices(source: Source, size: int, about: Counter[str]) -> Iterator[np.ndarray]:
    """The wanted slices of one file as planes (size, size) uint8, from the feet to the head, or along the thick axis.

    Counts into `about` what a user should know. Raises ValueError, OSError or what nibabel raises for a file that
    cannot be used; then no slice has come yet, unless its end is missing.
    """
    image = nib.load(source.path, keep_file_open=True)  # or each slice would unpack a .nii.gz from its start
    read, count, spacing = _reader(image, source.frame, about)
    step = math.ceil(math.sqrt(math.prod(image.shape[:3]) / SAMPLE))
    samples, constant, holes = [], np.zeros(count, bool), 0
    for k in range(count):
        plane = read(k)
        finite = plane[np.isfinite(plane)]
        holes += plane.size - finite.size
        constant[k] = not finite.size or finite.min() == finite.max()
        samples.append(plane[::step, ::step])
    low, high = window_of(np.concatenate([s.ravel() for s in samples]))
    chosen = np.flatnonzero(~constant)
    if source.slices:
        area = np.array([(s > low).mean() for s in samples])  # NaN is not more than anything
        chosen = np.flatnonzero(~constant & (area >= area.max() / 10))
        chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, source.slices).round().astype(int))]
    about["constant slices, dropped"] += int(constant.sum())
    about["volumes with NaN or infinite voxels, which became background"] += bool(holes)
    for k in chosen:
        plane = np.nan_to_num(read(k), nan=low, posinf=low, neginf=low)
        plane = isotropic(np.clip((plane - low) / (high - low), 0, 1), spacing)
        yield resize(crop_to_square(plane) if source.crop else pad_to_square(plane, 0), size)


def _reader(image: nib.Nifti1Image, frame: int | None, about: Counter[str]):
    """(read, number of slices, (spacing down, across)): read(k) is slice k (H, W) float32, seen as a person reads it.

    Cut across the axis whose voxels are thickest, as they were acquired; where all are about alike, axially. Anterior
    or superior is up, and left is left. Slope and intercept are applied.
    """
    if image.dataobj.dtype.fields:
        raise ValueError("a colour volume; save it as one channel")
    shape = image.shape
    if len(shape) < 3 or any(n > 1 for n in shape[4:]):
        raise ValueError(f"an array of shape {shape}; a volume has three axes, or four with time")
    if len(shape) > 3 and frame is None:
        frame = 0
        if shape[3] > 1:
            about["4D files, of which the first volume is used"] += 1
    if frame is not None and not 0 <= frame < (shape[3] if len(shape) > 3 else 1):
        raise ValueError(f"no frame {frame + 1} in an array of shape {shape}")
    zooms = np.array(image.header.get_zooms()[:3], float)
    orientation = io_orientation(image.affine)  # for each axis of the file: which of R, A, S it is, and its direction
    if not np.isfinite(orientation).all():
        orientation = np.array([[0, 1], [1, 1], [2, 1]])
    thick = int(zooms.argmax())
    axial = int(np.flatnonzero(orientation[:, 0] == 2)[0])
    through = thick if zooms[thick] > 1.5 * np.median(zooms) else axial
    if shape[:3].count(1) == 1:  # one slice, whichever way it lies
        through = shape[:3].index(1)
    a, b = sorted({0, 1, 2} - {through}, key=lambda axis: orientation[axis, 0])  # across, and up

    # A slice that does not lie in one piece would have a gzipped file unpacked from its start: then all of it is read.
    tail = ((frame,) if len(shape) > 3 else ()) + (0,) * (len(shape) - 4)
    voxels = image.dataobj if through == 2 else np.asarray(image.dataobj[(slice(None),) * 3 + tail], np.float32)

    def read(k: int) -> np.ndarray:
        if orientation[through, 1] < 0:
            k = shape[through] - 1 - k
        where = tuple(k if axis == through else slice(None) for axis in range(3))
        plane = np.asarray(voxels[where + (tail if through == 2 else ())], np.float32)
        plane = plane if a < b else plane.T
        return np.rot90(plane[:: int(orientation[a, 1]), :: int(orientation[b, 1])])

    return read, shape[through], (zooms[b], zooms[a])
