"""What every plot shares: palette, grey window, sizes, and how a figure is saved."""

from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from hagan_lite.system.storage import write_atomically

COLOURS = sns.color_palette("colorblind")
REAL, FAKE, MIXED, PHASE = COLOURS[0], COLOURS[1], COLOURS[2], "0.5"
STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "image.cmap": "gray",
    "figure.dpi": 80,
}


def save_figure(figure: Figure, path: Path) -> Path:
    """PNG at 150 dots per inch, written whole or not at all."""
    return write_atomically(
        path, lambda f: figure.savefig(f, format="png", dpi=150, bbox_inches="tight")
    )


def _figure(
    rows: int, columns: int, width: float, height: float, **kw: Any
) -> tuple[Figure, np.ndarray]:
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **kw
        )
    plt.close(figure)  # it is shown by being returned, once, not a second time by pyplot
    return figure, axes


def _picture(axis, image, title: str = "", **kw: Any) -> None:
    """uint8 or [-1, 1] images (C, H, W) in the full grey window, black -1 and white 1; maps (H, W)
    as `kw` says.
    """
    array = (
        image if isinstance(image, np.ma.MaskedArray) else np.asarray(image)
    )  # what is masked stays white
    if array.ndim == 3:
        array = array if array.dtype == np.uint8 else (array.clip(-1, 1) + 1) / 2
        kw |= dict(cmap="gray", vmin=0, vmax=255 if array.dtype == np.uint8 else 1)
        array = array[0] if len(array) == 1 else array.transpose(1, 2, 0)
    axis.imshow(array, interpolation="nearest", **kw)
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()


def spread(images: np.ndarray, n: int) -> np.ndarray:
    """At most n of the images, evenly spread over the set."""
    return images[np.linspace(0, len(images) - 1, min(n, len(images))).astype(int)]


def _absent(axis, why: str) -> None:
    axis.text(0.5, 0.5, why, ha="center", transform=axis.transAxes)


def _over_steps(axes, phase_two: int) -> None:
    for axis in axes:
        axis.set_xlabel("training step")
        axis.axvline(phase_two, color=PHASE, ls=":", lw=1, label="phase two starts")
        axis.legend(fontsize=8, framealpha=0.7, edgecolor="none")


def saliency_scale(largest: float) -> Normalize:
    """Return the colour scale of A / mean(A): linear from 0, or logarithmic where a pixel has over
    ten times the mean.

    The map of attention received can give one pixel hundreds of times what it gives the others.
    """
    return Normalize(0, max(largest, 1.0)) if largest <= 10 else LogNorm(0.1, largest, clip=True)
