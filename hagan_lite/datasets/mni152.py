"""The embedded data set: slices of the MNI152 T1 template, an average of 152 healthy brains (ships with nilearn)."""

import hashlib
import importlib.metadata
from collections.abc import Iterator

import numpy as np

from hagan_lite.datasets.pixels import pad_to_square, resize


def version() -> str:
    return f"nilearn{importlib.metadata.version('nilearn')}"


def slices(size: int, every_axis: bool) -> tuple[str, Iterator[tuple[np.ndarray, int]]]:
    """(fingerprint, (plane (size, size) uint8, group) ...) of slices with a third of the largest slice's brain or more;
    113 axial, 382 along all three axes.

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

    def planes() -> Iterator[tuple[np.ndarray, int]]:
        start = 0
        for axis in (2, 1, 0) if every_axis else (2,):
            area = brain.sum(axis=tuple({0, 1, 2} - {axis}))
            chosen = np.flatnonzero(area >= area.max() / 3)
            for n, i in enumerate(chosen):
                plane = np.rot90(volume.take(i, axis))  # anterior or superior up
                yield resize(pad_to_square(plane), size), start + n // 12
            start += -(-len(chosen) // 12)

    return fingerprint, planes()
