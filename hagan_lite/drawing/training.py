"""Every plot of the project, so that one file holds the style: one grey window for compared images."""

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage.util import montage

from hagan_lite.drawing.style import (
    COLOURS,
    FAKE,
    MIXED,
    REAL,
    _absent,
    _figure,
    _over_steps,
    _picture,
    spread,
)
from hagan_lite.paper import PAPER


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
    """Two blocks of tiles, the same number and the same grey window: real images left, generated
    ones right.

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
    """The run's sample grids at n moments, always of the same z, and as many real images: 8 tiles
    each.
    """
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
    _picture(
        axes[0, -1],
        montage(few, grid_shape=(2, 4), channel_axis=-1).transpose(2, 0, 1),
        "real images",
    )
    return figure


def training_curves(log: list[dict], phase_two: int) -> Figure:
    """Losses, D's scores, gates and the label's shift over the steps, as far as a model has them; a
    dotted line marks the start of phase two.
    """
    figure, axes = _figure(2, 2, 10.5, 6)
    losses, scores, gates, shifts = axes.flat
    step = [line["step"] for line in log]
    names = {"img": "image", "pix": "pixel", "cons": "consistency", "info": "information"}
    terms = [
        k
        for k in log[-1]
        if k[:2] in ("d_", "g_") and k not in ("d_real", "d_fake") and any(e[k] for e in log)
    ]
    for i, key in enumerate(terms or ["g"]):  # a model without D has one loss
        network, _, term = key.partition("_")
        label, style = (
            f"{network.upper()}, {names.get(term, term or 'loss')}",
            "-" if network == "d" else "--",
        )
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
        gates.plot(
            step,
            [e[key] for e in log],
            style,
            color=COLOURS[i],
            label=f"{name}, {level}x{level}",
            lw=1.2,
        )
    if not gates.lines:
        _absent(gates, "this model has no gates")
    shift_band(shifts, log)
    _over_steps(figure.axes, phase_two)
    return figure


def shift_band(axis, log: list[dict], paper: bool = False) -> None:
    """Quantiles of lambda - lambda_0 per logged batch: 5-95 % light, 25-75 % dark, the median as a
    line.
    """
    mixed = [line for line in log if "shift" in line]
    axis.axhline(0, color="0.85", lw=0.8, zorder=0)
    axis.set(title="The label's shift", ylabel="lambda - lambda_0")
    if not mixed:
        return _absent(axis, "no AttnMix in this run")
    step, quantiles = (
        [line["step"] for line in mixed],
        np.array([line["shift"] for line in mixed]).T,
    )
    axis.fill_between(
        step, quantiles[0], quantiles[4], color=MIXED, alpha=0.2, lw=0, label="5-95 % of the batch"
    )
    axis.fill_between(
        step, quantiles[1], quantiles[3], color=MIXED, alpha=0.5, lw=0, label="25-75 %"
    )
    axis.plot(step, quantiles[2], color=MIXED, lw=1.2, label="median")
    if paper:
        for (area, adjusted), marker in zip(
            PAPER["figure_7"]["examples"].values(), "osv", strict=True
        ):
            axis.plot(step[-1], adjusted - area, marker, color="black", ms=5, clip_on=False)
        axis.plot([], [], "o", color="black", ms=5, label="the paper's three examples")
