"""Draw a training: grids of images, samples over time, losses, scores, gates and shifts."""

import math
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from skimage.util import montage

from hagan_lite.drawing.style import (
    COLOURS,
    FAKE,
    MIXED,
    REAL,
    _over_steps,
    new_figure,
    say_why_empty,
    show_image,
    spread,
)
from hagan_lite.paper import EXAMPLES


def gallery(images: np.ndarray, n: int = 16, title: str = "", columns: int = 8) -> Figure:
    """Draw n of the uint8 images (N, C, H, W), evenly spread, as a grid in the window 0..255."""
    images = spread(images, n)
    rows = math.ceil(len(images) / columns)
    above = 0.35 if title else 0.0
    figure, axes = new_figure(rows, columns, columns, rows + above)
    for i, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if i < len(images):
            show_image(axis, images[i])
    figure.suptitle(title)
    return figure


def real_beside_fake(real: np.ndarray, fake: np.ndarray, title: str = "", n: int = 12) -> Figure:
    """Draw n real images as a block of tiles, and as many generated ones at its right.

    All are uint8 (N, C, H, W), in one grey window. The real ones are spread evenly over the set;
    the generated ones are the first, not the best.
    """
    columns, rows = 6, math.ceil(n / 6)
    figure, axes = new_figure(rows, 2 * columns + 1, 2 * columns + 0.5, rows + 0.8)
    for axis in axes.flat:
        axis.set_axis_off()
    left, right = axes[:, :columns], axes[:, columns + 1 :]
    for block, images in ((left, spread(real, n)), (right, fake[:n])):
        for axis, image in zip(block.flat, images, strict=False):
            show_image(axis, image)
    left[0, columns // 2].set_title("real", fontsize=12, color=REAL)
    right[0, columns // 2].set_title("generated", fontsize=12, color=FAKE)
    figure.suptitle(title)
    return figure


def sample_history(run: Path, real: np.ndarray, steps: int, n: int = 3) -> Figure:
    """Draw the run's sample grids at n moments, always of the same z, beside real images.

    Each grid has 8 tiles; `real` is uint8 (N, C, H, W); `steps` is the length of the training.
    """
    paths = sorted((Path(run) / "samples").glob("step_*.png"))
    moments = np.linspace(0, len(paths) - 1, min(n, len(paths)))
    chosen = [paths[round(k)] for k in moments]
    figure, axes = new_figure(1, len(chosen) + 1, 3.2 * (len(chosen) + 1), 2)
    side = real.shape[-1]
    for axis, path in zip(axes[0], chosen, strict=False):
        with Image.open(path) as grid:
            tiles = np.asarray(grid)[: 2 * side, : 4 * side]
        tiles = tiles[None] if tiles.ndim == 2 else tiles.transpose(2, 0, 1)
        step = int(path.stem.split("_")[1])
        show_image(axis, tiles, f"after {step} of {steps} steps")
    few = spread(real, 8).transpose(0, 2, 3, 1)
    tiles = montage(few, grid_shape=(2, 4), channel_axis=-1).transpose(2, 0, 1)
    show_image(axes[0, -1], tiles, "real images")
    return figure


def training_curves(log: list[dict[str, Any]], phase_two: int | None = None) -> Figure:
    """Draw losses, D's scores, gates and the label's shift over the steps, where a model has them.

    `log` holds the lines of a run's log. A dotted line marks `phase_two`, the step at which it
    starts, unless there is none (Experiment.second_phase).
    """
    figure, axes = new_figure(2, 2, 10.5, 7.2)
    losses, scores, gates, shifts = axes.flat
    _losses(losses, log)
    _scores(scores, log)
    _gates(gates, log)
    shift_band(shifts, log)
    _over_steps(figure.axes, phase_two)
    return figure


_LOSSES = {"img": "image", "pix": "pixel", "cons": "consistency", "info": "information"}
"""What the log's short names of losses stand for."""


def _losses(axis: Axes, log: list[dict[str, Any]]) -> None:
    """Draw each loss that is ever other than 0; a model without D has one, "g"."""
    step = [line["step"] for line in log]
    terms = []
    for key in log[-1]:
        is_loss = key.startswith(("d_", "g_")) and key not in ("d_real", "d_fake")
        if is_loss and any(line[key] for line in log):
            terms.append(key)
    for i, key in enumerate(terms or ["g"]):
        network, _, term = key.partition("_")
        label = f"{network.upper()}, {_LOSSES.get(term, term or 'loss')}"
        style = "-" if network == "d" else "--"
        values = [line[key] for line in log]
        axis.plot(step, values, style, color=COLOURS[i], label=label, lw=1.2)
    axis.set(title="Loss terms", ylabel="loss")
    if axis.get_ylim()[0] > -0.5:  # a critic's may be negative
        axis.set_ylim(0, None)


def _scores(axis: Axes, log: list[dict[str, Any]]) -> None:
    """Draw the mean score that D's image branch gives real images, and that it gives fake ones."""
    axis.set(title="Scores of the image branch", ylabel="D's mean score")
    if "d_real" not in log[-1]:
        say_why_empty(axis, "this model has no discriminator")
        return
    step = [line["step"] for line in log]
    axis.plot(step, [line["d_real"] for line in log], color=REAL, label="real images")
    axis.plot(step, [line["d_fake"] for line in log], "--", color=FAKE, label="fake images")
    for label in (0, 1):
        axis.axhline(label, color="0.85", lw=0.8, zorder=0)


_DASHES = ["--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (9, 3)), (0, (2, 1))]


def _gates(axis: Axes, log: list[dict[str, Any]]) -> None:
    """Draw the attention's gamma and the reverse skip's gates, level by level.

    Gammas are solid; every gate has a dash of its own, for their colours are much alike.
    """
    axis.set(title="Gates (all start at 0)", ylabel="value of the gate")
    step = [line["step"] for line in log]
    keys = [key for key in log[-1] if key.startswith(("gamma_", "skip_"))]
    if not keys:
        say_why_empty(axis, "this model has no gates")
    dashes = cycle(_DASHES)
    for i, key in enumerate(keys):
        kind, level = key.split("_")
        name, style = ("gamma", "-") if kind == "gamma" else ("skip gate", next(dashes))
        values = [line[key] for line in log]
        label = f"{name}, {level}x{level}"
        axis.plot(step, values, ls=style, color=COLOURS[i], label=label, lw=1.6)


def shift_band(axis: Axes, log: list[dict[str, Any]], paper: bool = False) -> None:
    """Draw quantiles of lambda - lambda_0 per logged batch, with `paper` Figure 7's examples, too.

    Light: 5 to 95 %, dark: 25 to 75 %; the median is a line. The examples belong to no step and
    stand side by side after the last one.
    """
    mixed = [line for line in log if "shift" in line]
    axis.axhline(0, color="0.85", lw=0.8, zorder=0)
    axis.set(title="The label's shift", ylabel="lambda - lambda_0")
    if not mixed:
        say_why_empty(axis, "no AttnMix in this run")
        return
    step = [line["step"] for line in mixed]
    low, lower, median, upper, high = np.array([line["shift"] for line in mixed]).T
    band = dict(color=MIXED, lw=0)
    axis.fill_between(step, low, high, alpha=0.2, label="5-95 % of the batch", **band)
    axis.fill_between(step, lower, upper, alpha=0.5, label="25-75 %", **band)
    axis.plot(step, median, color=MIXED, lw=1.2, label="median")
    if paper:
        apart = 0.05 * (step[-1] - step[0])
        for i, (name, (area, adjusted)) in enumerate(EXAMPLES.items(), 1):
            how = dict(ls="", marker="osv"[i - 1], ms=7, mfc="white", mec="black", mew=1.4)
            axis.plot(step[-1] + i * apart, adjusted - area, **how, label=f"the paper's {name}")
