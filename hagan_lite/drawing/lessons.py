"""Pictures of lessons 01-06: panels of images and maps, curves, intensities, and Figure 3 with live
numbers.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import seaborn as sns
import torch
from matplotlib.figure import Figure

from hagan_lite.attnmix import Mixed, mix
from hagan_lite.drawing.style import COLOURS, FAKE, MIXED, REAL, _figure, _picture, saliency_scale


class Panel(NamedTuple):
    """One picture. `kind`: image (C, H, W), always in the full grey window; mask (H, W) of 0..1;
    map (H, W), from its least to its most; ratio (H, W), see figures_attnmix.saliency_scale; signed
    (H, W), symmetric about `centre`.
    """

    picture: Any
    title: str = ""
    kind: str = "image"
    unit: str = ""  # of a map, under its colour bar
    outline: Any = None  # a mask (H, W), drawn as its border
    point: tuple[float, float] | None = None  # (row, column)
    centre: float = 0.0
    most: float = 0.0  # of a signed map, the distance from the centre at full colour; 0: its own 99.5 % quantile


def panels(rows: list[list[Panel | None]], title: str = "", side: float = 1.9) -> Figure:
    """A grid of pictures, row by row; None leaves a gap. Maps carry a colour bar with their unit."""
    columns = max(map(len, rows))
    figure, axes = _figure(
        len(rows), columns, side * columns, (side + 0.35) * len(rows) + 0.3 * bool(title)
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for row, line in zip(axes, rows, strict=True):
        for axis, panel in zip(row, line, strict=False):
            if panel is not None:
                _panel(figure, axis, panel)
    figure.suptitle(title)
    return figure


def _panel(figure: Figure, axis: Any, panel: Panel) -> None:
    array = np.ma.asarray(panel.picture)
    if panel.kind == "image":
        _picture(axis, array, panel.title)
    elif panel.kind == "mask":
        _picture(axis, array, panel.title, cmap="gray", vmin=0, vmax=1)
        axis.set_axis_on()  # a frame, for white on white
        axis.set(xticks=[], yticks=[])
        axis.spines[["top", "right"]].set_visible(True)
    else:
        most = panel.most or float(np.quantile(np.abs(array - panel.centre), 0.995)) or 1.0
        how = dict(
            map=dict(cmap="cividis"),
            ratio=dict(cmap="cividis", norm=saliency_scale(float(array.max()))),
            signed=dict(cmap="PuOr", vmin=panel.centre - most, vmax=panel.centre + most),
        )[panel.kind]
        _picture(axis, array, panel.title, **how)
        bar = figure.colorbar(
            axis.images[0], ax=axis, location="bottom", shrink=0.9, pad=0.02, aspect=14
        )
        bar.ax.tick_params(labelsize=7)
        if panel.kind != "ratio":
            bar.ax.locator_params(nbins=4)
        power = math.floor(math.log10(max(map(abs, bar.mappable.get_clim())) or 1.0))
        small = panel.kind != "ratio" and not -2 <= power < 3
        if small:  # the power goes beside the unit: the axis's own "1e-4" lies across it
            bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value / 10**power:g}")
        bar.set_label(panel.unit + f" ($10^{{{power}}}$)" * small, fontsize=8)
    if panel.outline is not None:
        axis.contour(
            np.asarray(panel.outline, dtype=float), levels=[0.5], colors=["white"], linewidths=2.2
        )
        axis.contour(
            np.asarray(panel.outline, dtype=float), levels=[0.5], colors=["black"], linewidths=0.9
        )
    if panel.point is not None:
        axis.plot(*panel.point[::-1], "o", mfc="none", mec="white", ms=9, mew=3)
        axis.plot(*panel.point[::-1], "o", mfc="none", mec="black", ms=9, mew=1.2)


def figure_3(mixed: Mixed, i: int = 0) -> Figure:
    """The paper's Figure 3 with live numbers: real and fake become i, mask and saliency become
    lambda (Eq. 1-4).
    """
    real, fake, M, A = (t[i] for t in (mixed.real, mixed.fake, mixed.mask, mixed.saliency))
    figure, axes = _figure(2, 4, 9.6, 5.0)
    composed = mix(mixed.real, mixed.fake, mixed.mask)[i]
    ratio = A[0] / A.mean()
    pictures = [
        [
            Panel(real, "real x"),
            Panel(fake, "fake G(z)"),
            Panel(M[0], "mask M, white = real", "mask"),
        ],
        [Panel(ratio, "saliency A", "ratio", "A / mean(A)", M[0])],
    ]
    pictures[0].append(Panel(composed, "i = M x + (1-M) G(z)"))
    kept = np.ma.masked_where(M[0].numpy() < 0.5, ratio.numpy())
    pictures[1].append(Panel(kept, "M A: what falls on real", "ratio", "A / mean(A)"))
    for axis in axes.flat:
        axis.set_axis_off()
    for row, line in zip(axes, pictures, strict=True):
        for axis, panel in zip(row, line, strict=False):
            _panel(figure, axis, panel)
    _label_bars(
        figure.add_subplot(axes[1, 2].get_gridspec()[1, 2:]),
        *(float(t[i]) for t in list_labels(mixed)),
    )
    return figure


def list_labels(mixed: Mixed) -> tuple:
    """lambda_0, lambda_1, lambda of a batch."""
    return mixed.lambda_0, mixed.lambda_1, mixed.lam


def _label_bars(axis: Any, lambda_0: float, lambda_1: float, lam: float) -> None:
    names = ("$\\lambda_0$, area", "$\\lambda_1$, saliency", "$\\lambda$, the label")
    values = (lambda_0, lambda_1, lam)
    axis.barh(names, values, color=[REAL, COLOURS[4], MIXED])
    axis.barh(names, [1 - v for v in values], left=values, color=FAKE, alpha=0.25)
    for y, value in enumerate(values):
        axis.text(0.02, y, f"{value:.3f}", va="center", color="white", fontweight="bold")
    axis.axvline(lambda_0, color="black", lw=0.8, ls=":")
    axis.set(xlim=(0, 1), xlabel="share of real", title=f"the label moves by {lam - lambda_0:+.3f}")
    axis.invert_yaxis()


class Lines(NamedTuple):
    """One set of axes: `curves` are {label: (x, y)}."""

    curves: dict[str, tuple[Any, Any]]
    title: str
    x: str
    y: str


def lines(parts: list[Lines], height: float = 3.0) -> Figure:
    """Curves side by side, told apart by colour and dash."""
    figure, axes = _figure(1, len(parts), 4.0 * len(parts), height)
    for axis, part in zip(axes[0], parts, strict=True):
        for i, (label, (x, y)) in enumerate(part.curves.items()):
            axis.plot(
                np.asarray(x),
                np.asarray(y),
                ("-", "--", "-.", ":")[i % 4],
                color=COLOURS[i],
                label=label,
            )
        axis.axhline(0, color="0.85", lw=0.8, zorder=0)
        axis.set(title=part.title, xlabel=part.x, ylabel=part.y)
        if len(part.curves) > 1:
            axis.legend(fontsize=8, framealpha=0.7, edgecolor="none")
    return figure


def intensities(parts: dict[str, dict[str, Any]], x: str, bins: int = 40) -> Figure:
    """Histograms, one set of axes per part, in each {label: values} laid over one another, each of
    area one.
    """
    figure, axes = _figure(1, len(parts), 4.0 * len(parts), 3.0)
    for axis, (title, groups) in zip(axes[0], parts.items(), strict=True):
        flat = {label: np.asarray(values).ravel() for label, values in groups.items()}
        sns.histplot(
            flat, bins=bins, stat="density", common_norm=False, element="step", fill=len(flat) < 3, ax=axis,
            palette=COLOURS[: len(flat)],
        )  # fmt: skip
        axis.set(title=title, xlabel=x, ylabel="density")
    return figure


class Bars(NamedTuple):
    """One set of axes of horizontal bars: {label: value}; `log` for values far apart."""

    values: dict[str, float]
    title: str
    x: str
    log: bool = False


def bars(parts: list[Bars], height: float = 2.8) -> Figure:
    """Horizontal bars, longest first, each with its number."""
    figure, axes = _figure(1, len(parts), max(6.0, 4.0 * len(parts)), height)
    for axis, part in zip(axes[0], parts, strict=True):
        ordered = dict(sorted(part.values.items(), key=lambda item: item[1]))
        drawn = axis.barh(list(ordered), list(ordered.values()), color=COLOURS[0], log=part.log)
        axis.bar_label(
            drawn,
            [f"{v:.3g}" if v < 1000 else f"{v:,.0f}" for v in ordered.values()],
            padding=3,
            fontsize=8,
        )
        axis.set(title=part.title, xlabel=part.x)
        axis.margins(x=0.2)
    return figure


def heat_map(values: torch.Tensor, positions: list[int], title: str, unit: str) -> Figure:
    """A signed quantity (rows, columns) over the positions of a box, in pixels; zero is the middle
    of the colours.
    """
    figure, axes = _figure(1, 1, 4.6, 3.8)
    most = float(values.abs().max())
    sns.heatmap(
        values.numpy(),
        cmap="PuOr",
        vmin=-most,
        vmax=most,
        ax=axes[0, 0],
        square=True,
        cbar_kws={"label": unit},
    )
    axes[0, 0].set_xticks([i + 0.5 for i in range(len(positions))], positions)
    axes[0, 0].set_yticks([i + 0.5 for i in range(len(positions))], positions)
    axes[0, 0].set(
        title=title, xlabel="left edge of the box (pixels)", ylabel="top edge of the box (pixels)"
    )
    return figure
