"""Hold what every plot shares: palette, grey window, sizes, and how a figure is saved."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from skimage.util import montage

from hagan_lite.system.storage import write_atomically

COLOURS = [
    to_rgb(colour)
    for colour in ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc")
    + ("#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9")
]
"""Seaborn's palette "colorblind"; seaborn itself takes a second to import."""
REAL, FAKE, MIXED, PHASE = COLOURS[0], COLOURS[1], COLOURS[2], "0.5"

DASHES = ("-", "--", ":", "-.")
"""Curves differ in colour and in dash: in a grey print by the dash alone."""


def dots_per_inch() -> float:
    """Return HAGAN_DPI, the dots per inch of a picture in a notebook, or 80 where it is not set.

    At 160 every text is twice as large, for a projector. A variable that is set to nothing counts
    as unset; ValueError is raised where it is no positive number.
    """
    text = os.environ.get("HAGAN_DPI", "").strip() or "80"
    try:
        dots = float(text)
    except ValueError:
        dots = math.nan
    if not 0 < dots < math.inf:
        what = "dots per inch of pictures in notebooks, a positive number such as 160"
        raise ValueError(f"HAGAN_DPI is {text!r}: give {what}, or unset it")
    return dots


STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.cmap": "gray",
    "figure.dpi": dots_per_inch(),  # of pictures in notebooks; save_figure has a number of its own
}


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a PNG at 150 dots per inch, whole or not at all, and return its path."""

    def write(file: Any) -> None:
        figure.savefig(file, format="png", dpi=150, bbox_inches="tight")

    return write_atomically(path, write)


def new_figure(
    rows: int, columns: int, width: float, height: float, **kw: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure of width x height inches, and its axes (rows, columns)."""
    size = (width, height)
    how = dict(figsize=size, squeeze=False, layout="constrained")
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, **how, **kw)
    plt.close(figure)  # it is shown by being returned, once, not a second time by pyplot
    return figure, axes


def show_image(axis: Axes, image: Any, title: str = "", **kw: Any) -> None:
    """Draw an image (C, H, W) in the full grey window, or a map (H, W) as `kw` says.

    An image is uint8, or has values in [-1, 1], where -1 is black and 1 is white.
    """
    array = image if isinstance(image, np.ma.MaskedArray) else np.asarray(image)
    if array.ndim == 3:
        if array.dtype == np.uint8:
            white = 255
        else:
            array = (array.clip(-1, 1) + 1) / 2
            white = 1
        kw |= dict(cmap="gray", vmin=0, vmax=white)
        array = array[0] if len(array) == 1 else array.transpose(1, 2, 0)
    axis.imshow(array, interpolation="nearest", **kw)  # masked pixels stay white
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()


def side_by_side(images: np.ndarray, tiles: tuple[int, int]) -> np.ndarray:
    """Return uint8 images (N, C, H, W) as one picture (C, height, width) of `tiles` rows, columns.

    A thin white gap stands between them: where black meets black, an image's edge is not seen.
    """
    shown = images[: math.prod(tiles)].transpose(0, 2, 3, 1)
    how = dict(grid_shape=tiles, channel_axis=-1, padding_width=max(1, images.shape[-1] // 32))
    white = [255] * shown.shape[-1]  # one for each channel
    return montage(shown, white, **how).transpose(2, 0, 1)


def outline(axis: Axes, mask: Any) -> None:
    """Draw the border of a mask (H, W): black within white, so that it is seen on any map."""
    mask = np.asarray(mask, dtype=float)
    axis.contour(mask, levels=[0.5], colors=["white"], linewidths=2.2)
    axis.contour(mask, levels=[0.5], colors=["black"], linewidths=0.9)


def spread(images: np.ndarray, n: int) -> np.ndarray:
    """Return at most n of the images, evenly spread over the set."""
    chosen = np.linspace(0, len(images) - 1, min(n, len(images)))
    return images[chosen.astype(int)]


def say_why_empty(axis: Axes, why: str) -> None:
    """Write into empty axes why nothing is drawn there; their title stays, their ticks go."""
    axis.text(0.5, 0.5, why, ha="center", transform=axis.transAxes)
    axis.set_axis_off()


def _over_steps(axes: Iterable[Axes], phase_two: int | None, columns: int = 3) -> None:
    """Label axes over training steps, mark the start of phase two, and put legends below them.

    All axes show the same steps, so that the start of phase two is at one place in each. A curve
    may run anywhere, so that a legend inside the axes would cover data. Axes in which nothing is
    drawn stay empty.
    """
    drawn = [axis for axis in axes if axis.axison]
    for axis in drawn:
        axis.set_xlabel("training step")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        if phase_two is not None:
            axis.axvline(phase_two, color=PHASE, ls=":", lw=1, label="phase two starts")
        below = dict(loc="upper center", bbox_to_anchor=(0.5, -0.2), borderaxespad=0)
        how = dict(fontsize=9, frameon=False, handlelength=3.4, columnspacing=1.2)
        axis.legend(**below, ncols=columns, **how)
    limits = np.array([axis.get_xlim() for axis in drawn])
    for axis in drawn:
        axis.set_xlim(limits.min(), limits.max())


def _legend_below(
    figure: Figure, axes: Axes | Iterable[Axes], size: float, columns: int = 0
) -> None:
    """Draw the legend of one set of axes, or of several, below the whole figure, off the data.

    Entries of one name are shown once. `columns` is the number of columns; 0: as many as entries.
    """
    once = {}
    for axis in [axes] if isinstance(axes, Axes) else axes:
        handles, labels = axis.get_legend_handles_labels()
        once |= dict(zip(labels, handles, strict=True))
    how = dict(loc="outside lower center", ncols=columns or max(1, len(once)), frameon=False)
    figure.legend(once.values(), once.keys(), fontsize=size, **how)


def _dots_and_mean(axis: Axes, y: float, scores: list[float], mean: float, **how: Any) -> None:
    """Draw at height y each run's score as a dot, and the mean of several as a bar."""
    axis.plot(scores, [y] * len(scores), "o", ms=5.5, alpha=0.85, **how)
    if len(scores) > 1:
        axis.plot([mean] * 2, [y - 0.25, y + 0.25], color="black", lw=2)


def saliency_scale(largest: float) -> Normalize:
    """Return the colour scale of A / mean(A), whose largest value is `largest`.

    It is linear from 0, or logarithmic where a pixel has over ten times the mean: the map of
    attention received can give one pixel hundreds of times what it gives the others.
    """
    if largest <= 10:
        return Normalize(0, max(largest, 1.0))
    return LogNorm(0.1, largest, clip=True)
