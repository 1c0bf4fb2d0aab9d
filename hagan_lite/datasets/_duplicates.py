"""Near duplicates: one picture in two files, or twice under two names, must not be on both sides of a split."""

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ALIKE, COPIES = 0.97, 0.995
"""From these correlations on two pictures are near duplicates, and copies. Where the layout names patients only copies
are looked for: aligned brains of two people are alike, too. On COVID-CT 0.97 finds five pairs, each one patient by the
looks; neighbouring slices of the embedded brain, a millimetre apart, have 0.985 to 0.999."""


def thumbnail(plane: np.ndarray) -> np.ndarray:
    """(C, S, S) -> (1024,): 32 x 32 means less their mean, of length 1, so that a correlation is a product."""
    grey = Image.fromarray(plane.mean(0, dtype=np.float32))
    means = np.asarray(grey.resize((32, 32), Image.Resampling.BOX)).ravel()
    means = means - means.mean()
    return means / max(float(np.linalg.norm(means)), 1e-6)


def merge(small: np.ndarray, groups: np.ndarray, patients: bool) -> tuple[np.ndarray, int, bool]:
    """(groups, those with near duplicates in common made one; how many pairs had some; whether alike ones were let be).

    `small`: (N, 1024) thumbnails. Where near duplicates would put more than half of the images into one group, copies
    alone count: neighbouring slices of one volume, saved as pictures, are a chain without an end, and only sub-folders
    can say who is who.
    """
    for alike in (COPIES,) if patients else (ALIKE, COPIES):
        edges = _pairs(small, groups, alike)
        shape, weights = (groups.max(initial=-1) + 1,) * 2, np.ones(edges.shape[1])
        joined = connected_components(coo_array((weights, tuple(edges)), shape), directed=False)[1][groups]
        largest = np.bincount(joined, minlength=1).max()
        if largest <= max(len(groups) / 2, np.bincount(groups, minlength=1).max()):
            return joined, edges.shape[1], alike == COPIES and not patients
    return groups, 0, True


def _pairs(small: np.ndarray, groups: np.ndarray, alike: float) -> np.ndarray:
    """(2, n): pairs of groups with a picture each that correlate by `alike` or more, each pair once."""
    found = np.zeros((2, 0), int)
    for start in range(0, len(small), 1024):
        a, b = np.nonzero(small[start : start + 1024] @ small.T >= alike)
        pair = np.stack([groups[a + start], groups[b]])
        found = np.unique(np.concatenate([found, pair[:, pair[0] < pair[1]]], axis=1), axis=1)
    return found
