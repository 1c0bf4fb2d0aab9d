"""Join near duplicates: one picture in two files must not be on both sides of a split."""

import numpy as np

ALIKE, COPIES = 0.97, 0.995
"""From these correlations on two pictures are near duplicates, and copies.

Where the layout names patients only copies are looked for: aligned brains of two people are alike,
too. On COVID-CT 0.97 finds five pairs, each one patient by the looks; neighbouring slices of the
embedded brain, a millimetre apart, have 0.985 to 0.999.
"""


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
    layout names patients. Returns the new groups, how many pairs of groups had near duplicates,
    and whether alike pictures stayed apart: where they would put more than half of the images into
    one group, copies alone count. Neighbouring slices of one volume, saved as pictures, are a chain
    without an end, and only sub-folders can say who is who.
    """
    for alike in (COPIES,) if patients else (ALIKE, COPIES):
        edges = _pairs(small, groups, alike)
        joined = _joined(groups, edges)
        largest = np.bincount(joined, minlength=1).max()
        largest_before = np.bincount(groups, minlength=1).max()
        if largest <= max(len(groups) / 2, largest_before):
            chained = alike == COPIES and not patients
            return joined, edges.shape[1], chained
    return groups, 0, True


def _joined(groups: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return `groups` (N,) with those connected by `edges` (2, n) made one, counted from 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = groups.max(initial=-1) + 1
    graph = coo_array((np.ones(edges.shape[1]), tuple(edges)), (count, count))
    return connected_components(graph, directed=False)[1][groups]


def _pairs(small: np.ndarray, groups: np.ndarray, alike: float) -> np.ndarray:
    """Return (2, n): each pair of groups that have a picture each correlating by `alike` or more.

    A block of 1024 pictures is compared with all others at a time.
    """
    pairs = np.zeros((2, 0), int)
    for start in range(0, len(small), 1024):
        a, b = np.nonzero(small[start : start + 1024] @ small.T >= alike)
        pair = np.stack([groups[a + start], groups[b]])
        pair = pair[:, pair[0] < pair[1]]
        pairs = np.unique(np.concatenate([pairs, pair], axis=1), axis=1)
    return pairs
