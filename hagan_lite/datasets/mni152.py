"""The embedded data set: slices of the MNI152 T1 template, an average of 152 healthy brains.

The template ships with nilearn.
"""

import hashlib
import importlib.metadata
import math
from collections.abc import Iterator

import numpy as np

from hagan_lite.datasets.pixels import pad_to_square, resize


def version() -> str:
    """Return the name and version of the package that ships the template."""
    return f"nilearn{importlib.metadata.version('nilearn')}"


def slices(size: int, every_axis: bool) -> tuple[str, Iterator[tuple[np.ndarray, int]]]:
    """Return the fingerprint and an iterator of (plane (size, size) uint8, group).

    A slice is taken if it has a third of the largest slice's brain or more: 113 axial ones, 382
    along all three axes. The volume is cropped to the brain's bounding box, so that the brain has
    one scale in all slices; slices are padded to square, and windowed from 0.25 to 0.9 of the
    template's range, which puts grey matter near mid-grey and white matter near white.
    Neighbouring slices are alike, so blocks of twelve form a group.
    """
    from nilearn.datasets import load_mni152_template  # three seconds: only where the cache is cold

    template = load_mni152_template(resolution=1)
    volume = template.get_fdata(dtype=np.float32)  # RAS, 1 mm, [0, 1]
    fingerprint = hashlib.sha256(volume.tobytes()).hexdigest()[:12]
    brain = volume > 0.05
    box = _bounding_box(brain)
    volume, brain = volume[box], brain[box]
    volume = np.clip((volume - 0.25) / (0.9 - 0.25), 0, 1)
    return fingerprint, _planes(volume, brain, size, (2, 1, 0) if every_axis else (2,))


def _bounding_box(brain: np.ndarray) -> tuple[slice, ...]:
    """Return the smallest box around a mask (X, Y, Z)."""
    box = []
    for axis in range(3):
        others = tuple({0, 1, 2} - {axis})
        filled = np.flatnonzero(brain.any(axis=others))
        box.append(slice(filled[0], filled[-1] + 1))
    return tuple(box)


def _planes(
    volume: np.ndarray, brain: np.ndarray, size: int, axes: tuple[int, ...]
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (plane (size, size) uint8, group) of a volume in [0, 1] along each of `axes`."""
    start = 0
    for axis in axes:
        area = brain.sum(axis=tuple({0, 1, 2} - {axis}))
        chosen = np.flatnonzero(area >= area.max() / 3)
        for n, i in enumerate(chosen):
            plane = np.rot90(volume.take(i, axis))  # anterior or superior up
            yield resize(pad_to_square(plane), size), start + n // 12
        start += math.ceil(len(chosen) / 12)
