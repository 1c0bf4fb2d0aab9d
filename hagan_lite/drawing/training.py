"""Every plot of the project, so that one file holds the style: one grey window for compared images."""

import math
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure
from PIL import Image
from skimage.util import montage

from hagan_lite.system.storage import write_atomically
from hagan_lite.paper import PAPER

COLOURS = sns.color_palette("colorblind")
REAL, FAKE, MIXED, PHASE = COLOURS[0], COLOURS[1], COLOURS[2], "0.5"
STYLE = {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "image.cmap": "gray", "figure.dpi": 80}


def save_figure(figure: Figure, path: Path) -> Path:
    """PNG at 150 dots per inch, written whole or not at all."""
    return write_atomically(path, lambda f: figure.savefig(f, format="png", dpi=150, bbox_inches="tight"))


def _figure(rows: int, columns: int, width: float, height: float, **kw: Any) -> tuple[Figure, np.ndarray]:
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **kw)
    plt.close(figure)  # it is shown by being returned, once, not a second time by pyplot
    return figure, axes


def _picture(axis, image, title: str = "", **kw: Any) -> None:
    """uint8 or [-1, 1] images (C, H, W) in the full grey window, black -1 and white 1; maps (H, W) as `kw` says."""
    array = image if isinstance(image, np.ma.MaskedArray) else np.asarray(image)  # what is masked stays white
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


def gallery(images: np.ndarray, n: int = 16, title: str = "", columns: int = 8) -> Figure:
    """n of the uint8 images (N, C, H, W), evenly spread, as a grid; all in the window 0..255."""
    images = spread(images, n)
    rows = math.ceil(len(images) / columns)
    figure, axes = _figure(rows, columns, columns, rows + 0.35 * bool(title))
    for i, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if i < len(images):
            _picture(axis, images[i])
    figure.suptitle(title)
    return figure


def real_beside_fake(real: np.ndarray, fake: np.ndarray, title: str = "", n: int = 12) -> Figure:
    """Two blocks of tiles, the same number and the same grey window: real images left, generated ones right.

    The real ones are spread evenly over the set; the generated ones are the first, not the best.
    """
    columns, rows = 6, math.ceil(n / 6)
    chosen = (spread(real, n), fake[:n])
    figure, axes = _figure(rows, 2 * columns + 1, 2 * columns + 0.5, rows + 0.8)
    for axis in axes.flat:
        axis.set_axis_off()
    for block, images in enumerate(chosen):
        for i, image in enumerate(images):
            _picture(axes[i // columns, i % columns + block * (columns + 1)], image)
    axes[0, columns // 2].set_title("real", fontsize=12, color=REAL)
    axes[0, columns + 1 + columns // 2].set_title("generated", fontsize=12, color=FAKE)
    figure.suptitle(title)
    return figure


def sample_history(run: Path, real: np.ndarray, steps: int, n: int = 3) -> Figure:
    """The run's sample grids at n moments, always of the same z, and as many real images: 8 tiles each."""
    paths = sorted((Path(run) / "samples").glob("step_*.png"))
    chosen = [paths[round(k)] for k in np.linspace(0, len(paths) - 1, min(n, len(paths)))]
    figure, axes = _figure(1, len(chosen) + 1, 3.2 * (len(chosen) + 1), 2)
    side = real.shape[-1]
    for axis, path in zip(axes[0], chosen, strict=False):
        with Image.open(path) as grid:
            tiles = np.asarray(grid)[: 2 * side, : 4 * side]
        tiles = tiles[None] if tiles.ndim == 2 else tiles.transpose(2, 0, 1)
        _picture(axis, tiles, f"after {int(path.stem.split('_')[1])} of {steps} steps")
    few = spread(real, 8).transpose(0, 2, 3, 1)
    _picture(axes[0, -1], montage(few, grid_shape=(2, 4), channel_axis=-1).transpose(2, 0, 1), "real images")
    return figure


def training_curves(log: list[dict], phase_two: int) -> Figure:
    """Losses, D's scores, gates and the label's shift over the steps, as far as a model has them; a dotted line marks
    the start of phase two."""
    figure, axes = _figure(2, 2, 10.5, 6)
    losses, scores, gates, shifts = axes.flat
    step = [line["step"] for line in log]
    names = {"img": "image", "pix": "pixel", "cons": "consistency", "info": "information"}
    terms = [k for k in log[-1] if k[:2] in ("d_", "g_") and k not in ("d_real", "d_fake") and any(e[k] for e in log)]
    for i, key in enumerate(terms or ["g"]):  # a model without D has one loss
        network, _, term = key.partition("_")
        label, style = f"{network.upper()}, {names.get(term, term or 'loss')}", "-" if network == "d" else "--"
        losses.plot(step, [line[key] for line in log], style, color=COLOURS[i], label=label, lw=1.2)
    losses.set(title="Loss terms", ylabel="loss")
    if losses.get_ylim()[0] > -0.5:  # a critic's may be negative
        losses.set_ylim(0, None)
    scores.set(title="Scores of the image branch", ylabel="D's mean score")
    if "d_real" in log[-1]:
        scores.plot(step, [line["d_real"] for line in log], color=REAL, label="real images")
        scores.plot(step, [line["d_fake"] for line in log], "--", color=FAKE, label="fake images")
        for label in (0, 1):
            scores.axhline(label, color="0.85", lw=0.8, zorder=0)
    else:
        _absent(scores, "this model has no discriminator")
    gates.set(title="Gates (all start at 0)", ylabel="value of the gate")
    for i, key in enumerate(k for k in log[-1] if k.startswith(("gamma_", "skip_"))):
        kind, level = key.split("_")
        name, style = ("attention's gamma", "-") if kind == "gamma" else ("skip_gate", "--")
        gates.plot(step, [e[key] for e in log], style, color=COLOURS[i], label=f"{name}, {level}x{level}", lw=1.2)
    if not gates.lines:
        _absent(gates, "this model has no gates")
    shift_band(shifts, log)
    _over_steps(figure.axes, phase_two)
    return figure


def _absent(axis, why: str) -> None:
    axis.text(0.5, 0.5, why, ha="center", transform=axis.transAxes)


def _over_steps(axes, phase_two: int) -> None:
    for axis in axes:
        axis.set_xlabel("training step")
        axis.axvline(phase_two, color=PHASE, ls=":", lw=1, label="phase two starts")
        axis.legend(fontsize=8, framealpha=0.7, edgecolor="none")


def shift_band(axis, log: list[dict], paper: bool = False) -> None:
    """Quantiles of lambda - lambda_0 per logged batch: 5-95 % light, 25-75 % dark, the median as a line."""
    mixed = [line for line in log if "shift" in line]
    axis.axhline(0, color="0.85", lw=0.8, zorder=0)
    axis.set(title="The label's shift", ylabel="lambda - lambda_0")
    if not mixed:
        return _absent(axis, "no AttnMix in this run")
    step, quantiles = [line["step"] for line in mixed], np.array([line["shift"] for line in mixed]).T
    axis.fill_between(step, quantiles[0], quantiles[4], color=MIXED, alpha=0.2, lw=0, label="5-95 % of the batch")
    axis.fill_between(step, quantiles[1], quantiles[3], color=MIXED, alpha=0.5, lw=0, label="25-75 %")
    axis.plot(step, quantiles[2], color=MIXED, lw=1.2, label="median")
    if paper:
        for (area, adjusted), marker in zip(PAPER["figure_7"]["examples"].values(), "osv", strict=True):
            axis.plot(step[-1], adjusted - area, marker, color="black", ms=5, clip_on=False)
        axis.plot([], [], "o", color="black", ms=5, label="the paper's three examples")


def heat_map(values: torch.Tensor, positions: list[int], title: str, unit: str) -> Figure:
    """A signed quantity (rows, columns) over the positions of a box, in pixels; zero is the middle of the colours."""
    figure, axes = _figure(1, 1, 4.6, 3.8)
    most = float(values.abs().max())
    sns.heatmap(
        values.numpy(), cmap="PuOr", vmin=-most, vmax=most, ax=axes[0, 0], square=True, cbar_kws={"label": unit}
    )
    axes[0, 0].set_xticks([i + 0.5 for i in range(len(positions))], positions)
    axes[0, 0].set_yticks([i + 0.5 for i in range(len(positions))], positions)
    axes[0, 0].set(title=title, xlabel="left edge of the box (pixels)", ylabel="top edge of the box (pixels)")
    return figure
