"""Draw a training: grids of images, samples over time, losses, scores, gates and shifts."""

import math
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from hagan_lite.drawing.style import (
    COLOURS,
    FAKE,
    MIXED,
    REAL,
    _over_steps,
    new_figure,
    say_why_empty,
    show_image,
    side_by_side,
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
    tiles = (math.ceil(n / 6), 6)  # rows, columns
    figure, axes = new_figure(1, 2, 12.5, 2.05 * tiles[0] / 2 + 0.35 + 0.3 * bool(title))
    blocks = (("real", spread(real, n), REAL), ("generated", fake[:n], FAKE))
    for axis, (name, images, colour) in zip(axes[0], blocks, strict=True):
        show_image(axis, side_by_side(images, tiles))
        axis.set_title(name, fontsize=12, color=colour)
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
            drawn = _tiles_of(np.asarray(grid), side)
        step = int(path.stem.split("_")[1])
        show_image(axis, side_by_side(drawn, (2, 4)), f"after {step:,} of {steps:,} steps")
    show_image(axes[0, -1], side_by_side(spread(real, 8), (2, 4)), "real images")
    return figure


def _tiles_of(grid: np.ndarray, side: int) -> np.ndarray:
    """Return the first 2 x 4 tiles of a grid (H, W) or (H, W, 3) as images (8, C, side, side)."""
    grid = grid[..., None] if grid.ndim == 2 else grid
    rows = [grid[top : top + side] for top in (0, side)]
    tiles = [row[:, left : left + side] for row in rows for left in range(0, 4 * side, side)]
    return np.stack(tiles).transpose(0, 3, 1, 2)


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
    axis.axhline(0.5, color="0.6", lw=0.8, ls=(0, (1, 4)), zorder=0)  # D cannot tell them apart


def gates_over_training(
    log: list[dict[str, Any]], phase_two: int | None, kind: str, title: str
) -> Figure:
    """Draw the gates of one kind, "gamma" or "skip", as :func:`training_curves` shows them."""
    figure, axes = new_figure(1, 1, 5.5, 3.6)
    _gates(axes[0, 0], log, kind)
    axes[0, 0].set_title(title)
    _over_steps(figure.axes, phase_two)
    return figure


_DASHES = ["-", "--", ":", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (9, 3)), (0, (2, 1)), (0, (1, 3))]


def _gates(axis: Axes, log: list[dict[str, Any]], kind: str = "") -> None:
    """Draw the attention's gamma and the reverse skip's gates, level by level, or one `kind`.

    Every gate has a dash of its own, for their colours are much alike. A gate has the same colour
    and dash whether or not the other kind is drawn.
    """
    axis.set(title="Gates (all start at 0)", ylabel="value of the gate")
    step = [line["step"] for line in log]
    keys = [key for key in log[-1] if key.startswith(("gamma_", "skip_"))]
    if not any(key.startswith(kind) for key in keys):
        say_why_empty(axis, "this model has no gates")
    for i, (key, dash) in enumerate(zip(keys, cycle(_DASHES), strict=False)):
        if not key.startswith(kind):
            continue
        level = key.split("_")[1]
        name = "gamma" if key.startswith("gamma") else "skip gate"
        how = dict(ls=dash, color=COLOURS[i], lw=1.6, label=f"{name}, {level}x{level}")
        axis.plot(step, [line[key] for line in log], **how)


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
