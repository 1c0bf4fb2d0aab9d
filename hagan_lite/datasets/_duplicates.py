"""Join near duplicates: one picture in two files must not be on both sides of a split."""

from collections.abc import Iterator

import numpy as np
from tqdm.auto import tqdm

ALIKE, COPIES = 0.97, 0.995
"""From these correlations on two pictures are near duplicates, and copies.

Where the layout names patients only copies are looked for: aligned brains of two people are alike,
too. On COVID-CT 0.97 finds five pairs, each one patient by the looks; neighbouring slices of the
embedded brain, a millimetre apart, have 0.985 to 0.999.
"""
BLOCK = 256
"""So many pictures are compared with all others at a time: memory then grows linearly."""


def thumbnail(plane: np.ndarray) -> np.ndarray:
    """Return (C, S, S) as (1024,) float32 of length 1, so that a correlation is a product.

    These are 32 x 32 means of the grey picture less their mean.
    """
    from PIL import Image

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
        joined = connected(joined, np.stack([joined[a], joined[b]]))
        if np.bincount(joined).max() > limit:
            return None, 0
    return joined, int(alike_images.sum())


def connected(groups: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return `groups` (N,) with those connected by `edges` (2, n) made one, counted from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = groups.max(initial=-1) + 1
    graph = coo_array((np.ones(edges.shape[1]), tuple(edges)), (count, count))
    return connected_components(graph, directed=False)[1][groups]


def _pairs(small: np.ndarray, alike: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield indices (a, b), (n,) each, of pictures that correlate by `alike` or more.

    Such pictures are no farther apart than sqrt(2 - 2 alike), and no farther in any projection. So
    pictures are sorted along one axis and compared with those within reach, by 8 x 8 means first.
    """
    reach = float(np.sqrt(2 - 2 * alike)) + 1e-4
    coarse = _coarse(small)
    axis = np.linalg.eigh(coarse.T @ coarse)[1][:, -1]
    order = np.argsort(coarse @ axis, kind="stable")
    small, coarse = small[order], coarse[order]
    place, lengths = coarse @ axis, (coarse**2).sum(axis=1)
    blocks = range(0, len(small), BLOCK)
    for start in tqdm(blocks, desc="looking for near duplicates", leave=False, delay=2):
        rows = slice(start, start + BLOCK)
        first, last = place[rows].min() - reach, place[rows].max() + reach
        near = slice(*np.searchsorted(place, (first, last)))
        squares = lengths[rows, None] + lengths[near] - 2 * coarse[rows] @ coarse[near].T
        a, b = np.nonzero(squares <= reach**2)
        if len(a) > 0.02 * squares.size:  # one product is faster than many small ones
            a, b = np.nonzero(small[rows] @ small[near].T >= alike)
        else:
            a, b = _correlated(small[rows], small[near], a, b, alike)
        yield order[a + start], order[b + near.start]


def _coarse(small: np.ndarray) -> np.ndarray:
    """Return thumbnails (N, 1024) projected to 8 x 8 means, (N, 64), in the same unit."""
    blocks = small.reshape(-1, 8, 4, 8, 4)
    return blocks.sum(axis=(2, 4)).reshape(-1, 64) / 4  # 16 values, of which each has weight 1/4


def _correlated(
    small: np.ndarray, others: np.ndarray, a: np.ndarray, b: np.ndarray, alike: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return those of the pairs (a, b), (n,) each, that correlate by `alike` or more."""
    close = np.zeros(len(a), bool)
    for start in range(0, len(a), 1024):
        part = slice(start, start + 1024)
        close[part] = np.einsum("nd,nd->n", small[a[part]], others[b[part]]) >= alike
    return a[close], b[close]
