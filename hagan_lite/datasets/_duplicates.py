"""Near duplicates: one picture in two files, or twice under two names, must not be on both sides of a split."""

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ALIKE = {False: 0.97, True: 0.99}
"""From this correlation on two pictures are near duplicates. Where the layout names patients only copies are looked
for: aligned brains of two people are alike, too. On COVID-CT 0.97 finds five pairs, each one patient by the looks."""


def thumbnail(plane: np.ndarray) -> np.ndarray:
    """(C, S, S) -> (1024,): 32 x 32 means less their mean, of length 1, so that a correlation is a product."""
    grey = Image.fromarray(plane.mean(0, dtype=np.float32))
    means = np.asarray(grey.resize((32, 32), Image.Resampling.BOX)).ravel()
    means = means - means.mean()
    return means / max(float(np.linalg.norm(means)), 1e-6)


def merge(small: np.ndarray, groups: np.ndarray, patients: bool) -> tuple[np.ndarray, int]:
    """Groups that share near duplicates become one; and how many pairs there were. `small`: (N, 1024) thumbnails.

    Where that would put more than half of the images into one group nothing is merged: neighbouring slices of one
    volume, saved as pictures, are a chain without an end, and only sub-folders can say who is who.
    """
    pairs = []
    for start in range(0, len(small), 1024):
        a, b = np.nonzero(small[start : start + 1024] @ small.T >= ALIKE[patients])
        keep = groups[a + start] < groups[b]
        pairs.append(np.stack([groups[a + start], groups[b]])[:, keep])
    edges = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), int)
    if not edges.size:
        return groups, 0
    n = groups.max() + 1
    joined = connected_components(coo_array((np.ones(edges.shape[1]), tuple(edges)), (n, n)), directed=False)[1][groups]
    largest = np.bincount(joined).max()
    if largest > len(groups) / 2 and largest > np.bincount(groups).max():
        return groups, 0
    return joined, edges.shape[1]
