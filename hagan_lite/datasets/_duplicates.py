"""Join near duplicates: one picture in two files must not be on both sides of a split."""

from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from tqdm.auto import tqdm

ALIKE, COPIES = 0.97, 0.995
"""From these correlations on two pictures are near duplicates, and copies.

Where the layout names patients only copies are looked for: aligned brains of two people are alike,
too. On COVID-CT 0.97 finds five pairs, each one patient by the looks; neighbouring slices of the
embedded brain, a millimetre apart, have 0.985 to 0.999.
"""
BLOCK = 256
"""So many pictures are compared with others at a time: memory grows with their number alone."""
AXES = 8
"""So many principal axes are indexed; more would tell apart little more and be slower."""


def thumbnail(plane: np.ndarray) -> np.ndarray:
    """Return (C, S, S) as (1024,) float32 of length 1, so that a correlation is a product.

    These are 32 x 32 means of the grey picture less their mean.
    """
    grey = Image.fromarray(plane.mean(0, dtype=np.float32))
    means = np.asarray(grey.resize((32, 32), Image.Resampling.BOX)).ravel()
    means = means - means.mean()
    return means / max(float(np.linalg.norm(means)), 1e-6)


def merge(small: np.ndarray, groups: np.ndarray, patients: bool) -> tuple[np.ndarray, int, bool]:
    """Make one group of groups that have near duplicates in common.

    `small` (N, 1024) are thumbnails, `groups` (N,) int counts from 0, `patients` says that the
    layout names patients. Returns the new groups, how many images have a near duplicate in another
    group, and whether alike pictures stayed apart: where they would put more than half of the
    images into one group, copies alone count. Neighbouring slices of one volume, saved as pictures,
    are a chain without an end, and only sub-folders can say who is who.
    """
    if not len(small):
        return groups, 0, False
    limit = max(len(groups) / 2, np.bincount(groups).max())
    for alike in (COPIES,) if patients else (ALIKE, COPIES):
        joined, images = _join(small, groups, alike, limit)
        if joined is not None:
            return joined, images, alike == COPIES and not patients
    return groups, 0, True


def _join(
    small: np.ndarray, groups: np.ndarray, alike: float, limit: float
) -> tuple[np.ndarray | None, int]:
    """Return `groups` (N,) joined, and how many images have a near duplicate in another group.

    Return None for the groups as soon as one has more than `limit` images: no further pair could
    make it smaller.
    """
    joined, alike_images = groups, np.zeros(len(groups), bool)
    for a, b in _pairs(small, alike):
        others = groups[a] != groups[b]
        a, b = a[others], b[others]
        alike_images[a] = alike_images[b] = True
        joined = _joined(joined, np.stack([joined[a], joined[b]]))
        if np.bincount(joined).max() > limit:
            return None, 0
    return joined, int(alike_images.sum())


def _joined(groups: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return `groups` (N,) with those connected by `edges` (2, n) made one, counted from 0."""
    count = groups.max(initial=-1) + 1
    graph = coo_array((np.ones(edges.shape[1]), tuple(edges)), (count, count))
    return connected_components(graph, directed=False)[1][groups]


def _pairs(small: np.ndarray, alike: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices (a, b), (n,) each, of pictures that correlate by `alike` or more.

    Such pictures are no farther apart than sqrt(2 - 2 alike), and no farther in a projection:
    an index of a few principal axes leaves few to compare, unless all are alike.
    """
    points = _projected(small)
    tree, reach = cKDTree(points), float(np.sqrt(2 - 2 * alike)) + 1e-4
    for start in tqdm(
        range(0, len(small), BLOCK), desc="looking for near duplicates", leave=False, delay=2
    ):
        rows = np.arange(start, min(start + BLOCK, len(small)))
        counts = tree.query_ball_point(points[rows], reach, return_length=True)
        if counts.sum() > 0.1 * len(rows) * len(small):  # a product is faster than a long list
            a, b = np.nonzero(small[rows] @ small.T >= alike)
            yield a + start, b
            continue
        near = tree.query_ball_point(points[rows], reach, return_sorted=False)
        a, b = rows.repeat(counts), np.concatenate(near).astype(int)
        later = a < b
        a, b = a[later], b[later]
        close = np.concatenate(
            [
                np.einsum("nd,nd->n", small[a[i : i + 4096]], small[b[i : i + 4096]]) >= alike
                for i in range(0, len(a), 4096)
            ]
            or [np.zeros(0, bool)]
        )
        yield a[close], b[close]


def _projected(small: np.ndarray) -> np.ndarray:
    """Return thumbnails (N, 1024) on their first principal axes, (N, AXES)."""
    axes = np.linalg.eigh(small.T @ small)[1][:, -AXES:]
    return small @ axes
