"""Draw pictures of the lessons: panels, points of the plane, curves, intensities, Figure 3."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from hagan_lite.attnmix import Mixed, mix
from hagan_lite.drawing.style import (
    COLOURS,
    DASHES,
    FAKE,
    PHASE,
    REAL,
    _legend_below,
    new_figure,
    outline,
    saliency_scale,
    show_image,
)

LARGE, SMALL = 11, 9
"""Font sizes, in points: of titles, axes and legends, and of colour bars.

At 80 dots per inch LARGE is 12 pixels high: enough at one's own desk, too small for the last row of
a class room. HAGAN_DPI=160 doubles every text (style.dots_per_inch).
"""

MARK = 15
"""Height of a label above the axes, in points."""

# Eleven bands, not a gradient: their borders are seen from afar, and few colours keep PNGs exact.
_ANSWERS = LinearSegmentedColormap.from_list(
    "answers", [(0.96, 0.74, 0.42), (1, 1, 1), (0.48, 0.71, 0.91)], 11
)


# Its lightness rises from end to end, so that a grey print keeps the sign; 0 is mid-grey.
_SIGNED = LinearSegmentedColormap.from_list(
    "signed",
    [(0.33, 0.12, 0), (0.65, 0.32, 0.05), (0.57, 0.57, 0.57), (0.7, 0.66, 0.93), (0.95, 0.93, 1)],
)

_BEHIND = dict(boxstyle="round,pad=0.1", facecolor="black", edgecolor="none", alpha=0.6)


class Panel(NamedTuple):
    """Describe one picture of a grid.

    `kind` is "image" (C, H, W), always in the full grey window; "mask" (H, W) of 0..1; "map"
    (H, W), from its least to its most; "ratio" (H, W), see style.saliency_scale; or "signed"
    (H, W), symmetric about `centre`.
    """

    picture: Any
    title: str = ""
    kind: str = "image"
    unit: str = ""  # of a map, under its colour bar
    outline: Any = None  # a mask (H, W), drawn as its border
    points: Sequence[tuple[float, float]] = ()  # (row, column); several are numbered from 1
    centre: float = 0.0
    # At full colour: of a signed map, the distance from the centre (0: its own 99.5 % quantile); of
    # a ratio, the value (0: its own largest). Panels that are compared need one scale.
    most: float = 0.0


def panels(
    rows: list[list[Panel | None]], title: str = "", side: float = 1.9, one_bar: bool = False
) -> Figure:
    """Draw a grid of pictures, row by row; None leaves a gap. `side` is a picture's, in inches.

    Maps carry a colour bar with their unit. With `one_bar` one bar below the grid serves them all.
    Give all maps one `most` then; ValueError is raised where their colours have other limits.
    """
    columns = max(map(len, rows))
    above = 0.3 if title else 0.0
    figure, axes = new_figure(len(rows), columns, side * columns, (side + 0.35) * len(rows) + above)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, line in zip(axes, rows, strict=True):
        for axis, panel in zip(row, line, strict=False):
            if panel is not None:
                _panel(axis, panel)
    drawn = [
        (axis, panel)
        for row, line in zip(axes, rows, strict=True)
        for axis, panel in zip(row, line, strict=False)
        if panel is not None and panel.kind not in ("image", "mask")
    ]
    limits = {axis.images[0].get_clim() for axis, _ in drawn}
    if one_bar and len(limits) > 1:
        scales = "; ".join(f"{low:.3g} to {high:.3g}" for low, high in sorted(limits))
        raise ValueError(f"one_bar: the maps' colours differ ({scales}); give all maps one `most`")
    if one_bar and drawn:
        axis, panel = drawn[0]
        _colour_bar(figure, axis, panel, below=axes, shrink=0.4, aspect=30)
    else:
        for axis, panel in drawn:
            _colour_bar(figure, axis, panel)
    figure.suptitle(title)
    return figure


def _panel(axis: Axes, panel: Panel) -> None:
    """Draw one panel, with its outline and points, without a colour bar."""
    array = np.ma.asarray(panel.picture)
    if panel.kind == "image":
        show_image(axis, array, panel.title)
    elif panel.kind == "mask":
        show_image(axis, array, panel.title, cmap="gray", vmin=0, vmax=1)
        axis.set_axis_on()  # a frame, for white on white
        axis.set(xticks=[], yticks=[])
        axis.spines[["top", "right"]].set_visible(True)
    else:
        show_image(axis, array, panel.title, **_colours_of(panel, array))
    axis.title.set_fontsize(LARGE)
    if panel.outline is not None:
        outline(axis, panel.outline)
    for number, (row, column) in enumerate(panel.points, 1):
        axis.plot(column, row, "o", mfc="none", mec="white", ms=9, mew=3)
        axis.plot(column, row, "o", mfc="none", mec="black", ms=9, mew=1.2)
        if len(panel.points) > 1:
            beside = dict(xytext=(7, 3), textcoords="offset points", fontsize=LARGE)
            axis.annotate(str(number), (column, row), **beside, color="white", bbox=_BEHIND)


def _colours_of(panel: Panel, array: np.ma.MaskedArray) -> dict[str, Any]:
    """Return colour map and scale of a panel of kind "map", "ratio" or "signed"."""
    if panel.kind == "map":
        return dict(cmap="cividis")
    if panel.kind == "ratio":
        return dict(cmap="cividis", norm=saliency_scale(panel.most or float(array.max())))
    if panel.kind != "signed":
        kinds = "image, mask, map, ratio or signed"
        raise ValueError(f"a panel is of kind {kinds}, and not {panel.kind!r}")
    own_most = float(np.quantile(np.abs(array - panel.centre), 0.995))
    most = panel.most or own_most or 1.0
    return dict(cmap=_SIGNED, vmin=panel.centre - most, vmax=panel.centre + most)


def _colour_bar(
    figure: Figure,
    axis: Axes,
    panel: Panel,
    below: Any = None,
    shrink: float = 0.9,
    aspect: float = 14,
) -> None:
    """Draw a map's colour bar with its unit, under the axes `below` or else under the map.

    A power of ten goes beside the unit: the axis's own "1e-4" lies across it.
    """
    shown = axis.images[0]
    under = axis if below is None else below
    how = dict(location="bottom", shrink=shrink, pad=0.02, aspect=aspect)
    bar = figure.colorbar(shown, ax=under, **how)
    bar.ax.tick_params(labelsize=SMALL)
    unit = panel.unit
    if panel.kind == "ratio" and isinstance(shown.norm, LogNorm):
        bar.set_ticks([1, 10, 100, 1000], labels=["1", "10", "100", "1000"])
        bar.ax.set_xlim(*shown.get_clim())  # of the ticks, those within the scale
        bar.minorticks_off()
    elif panel.kind == "ratio":
        bar.ax.locator_params(nbins=3)
    else:
        bar.ax.locator_params(nbins=2)  # more would collide
        values = np.unique(np.ma.compressed(shown.get_array()))
        if len(values) <= 4 and len(values) > 1:
            bar.set_ticks(values)  # a count shows each of its values
        largest = max(map(abs, shown.get_clim())) or 1.0
        power = math.floor(math.log10(largest))
        if not -2 <= power < 3:
            bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value / 10**power:g}")
            unit += f" ($10^{{{power}}}$)"
    bar.set_label(unit, fontsize=SMALL)


def figure_3(mixed: Mixed, i: int = 0) -> Figure:
    """Draw the paper's Figure 3 with live numbers of image i of a batch (Eq. 1-4).

    Real and fake become the mixed image, mask and saliency become lambda. Hatched is what the mask
    sets to 0.
    """
    real, fake, M, A = mixed.real[i], mixed.fake[i], mixed.mask[i, 0], mixed.saliency[i, 0]
    composed = mix(mixed.real, mixed.fake, mixed.mask)[i]
    ratio = A / A.mean()
    on_real = (ratio * M).clamp_min(1e-6)  # a logarithmic scale has no 0
    images = [
        Panel(real, "real x"),
        Panel(fake, "fake G(z)"),
        Panel(M, "mask M, white = real", "mask"),
        Panel(composed, "i = M x + (1-M) G(z)"),
    ]
    scale = dict(unit="A / mean(A)", outline=M, most=float(ratio.max()))
    maps = [
        Panel(ratio, "saliency A", "ratio", **scale),
        Panel(on_real, "M A: 0 where hatched", "ratio", **scale),
    ]
    figure, axes = new_figure(2, 4, 9.6, 5.4)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, line in zip(axes, (images, maps), strict=True):
        for axis, panel in zip(row, line, strict=False):
            _panel(axis, panel)
    hidden = axes[1, 1]  # M A is 0 there, which by its colour alone could be a small A
    with matplotlib.rc_context({"hatch.color": "white", "hatch.linewidth": 0.8}):
        hidden.contourf(1 - M, levels=[0.5, 1.5], colors="none", hatches=["///"])
    _colour_bar(figure, axes[1, 0], maps[0], below=axes[1, :2], shrink=0.6, aspect=24)
    # In a grid of its own, so that the names of the bars take no room from the pictures.
    right_half = axes[1, 2].get_gridspec()[1, 2:].subgridspec(1, 1)
    labels = (mixed.lambda_0, mixed.lambda_1, mixed.lam)
    numbers = (float(label[i]) for label in labels)
    _label_bars(figure.add_subplot(right_half[0, 0]), *numbers)
    return figure


def _label_bars(axis: Axes, lambda_0: float, lambda_1: float, lam: float) -> None:
    """Draw the share of real in three labels as horizontal bars with their numbers."""
    names = ("$\\lambda_0$, area", "$\\lambda_1$, saliency", "$\\lambda$, the label")
    values = (lambda_0, lambda_1, lam)
    fakes = [1 - value for value in values]
    axis.barh(names, values, color=REAL)
    axis.barh(names, fakes, left=values, color=FAKE, alpha=0.25)
    for y, value in enumerate(values):
        fits = value >= 0.15
        x, colour = (0.02, "white") if fits else (value + 0.02, "black")
        axis.text(x, y, f"{value:.3f}", va="center", color=colour, fontweight="bold")
    axis.axvline(lambda_0, color="black", lw=0.8, ls=":")
    axis.set(xlim=(0, 1), xlabel="share of real")
    axis.set_title(f"the label moves by {lam - lambda_0:+.3f}")
    axis.invert_yaxis()


class Plane(NamedTuple):
    """Describe one picture of the plane: points of both kinds before D's answers.

    `surface` (n, n) holds D's answers in [0, 1] over the whole window, its first row lowest.
    `push` (N, 2) holds an arrow for each fake point.
    """

    title: str = ""
    real: Any = None  # (N, 2)
    fake: Any = None  # (N, 2)
    surface: Any = None
    push: Any = None


def planes(parts: list[Plane], limit: float = 2.0, reach: float = 0.5, side: float = 2.6) -> Figure:
    """Draw planes side by side in the window [-limit, limit]^2, with one colour scale.

    Blue is where D says real, orange with dashes where it says fake, white is 1/2. All arrows share
    one scale: nine in ten are at most `reach` long, in units of the plane. Longer ones are cut off
    at twice that, and those too short to have a direction are left out. `side` is a picture's, in
    inches.
    """
    figure, axes = new_figure(1, len(parts), side * len(parts) + 0.9, side + 0.7)
    lengths = [np.hypot(*np.asarray(part.push).T) for part in parts if part.push is not None]
    long = float(np.quantile(np.concatenate(lengths), 0.9)) if lengths else 0.0
    for axis, part in zip(axes[0], parts, strict=True):
        _plane(axis, part, limit, reach, long or 1.0)
    axes[0, 0].set_yticks([-int(limit), 0, int(limit)])
    _legible(axes)
    shown = [axis.images[0] for axis in axes[0] if axis.images]
    if shown:
        bar = figure.colorbar(shown[0], ax=axes[0, -1], ticks=[0, 0.5, 1], fraction=0.05)
        bar.set_ticklabels(["0, fake\n(dashes)", "0.5", "1, real"], fontsize=LARGE)
        bar.set_label("D's answer", fontsize=LARGE)
    fullest = max(axes[0], key=lambda axis: len(axis.get_legend_handles_labels()[1]))
    _legend_below(figure, fullest, LARGE)
    return figure


def _plane(axis: Axes, part: Plane, limit: float, reach: float, long: float) -> None:
    """Draw D's answers, then the points, then the arrows; one of length `long` is `reach` long."""
    if part.surface is not None:
        how = dict(cmap=_ANSWERS, vmin=0, vmax=1, origin="lower", interpolation="bilinear")
        window = (-limit, limit, -limit, limit)
        axis.imshow(np.asarray(part.surface), extent=window, **how)
        _dashes_where_fake(axis, np.asarray(part.surface), limit)
    kinds = (("real", part.real, REAL, "o"), ("fake", part.fake, FAKE, "^"))
    for label, points, colour, marker in kinds:
        if points is not None:
            edge = tuple(0.55 * part for part in to_rgb(colour))  # the same, darker
            how = dict(s=18, marker=marker, color=[colour], edgecolors=[edge], linewidths=0.6)
            axis.scatter(*np.asarray(points).T, label=label, zorder=2, **how)
    if part.push is not None:
        _arrows(axis, np.asarray(part.fake), np.asarray(part.push) * reach / long, reach)
    axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", title=part.title)
    axis.set(xticks=[-int(limit), 0, int(limit)], yticks=[])


def _dashes_where_fake(axis: Axes, surface: np.ndarray, limit: float, n: int = 16) -> None:
    """Draw n x n small dashes, but only where D's answer is below 0.45.

    In a grey print both ends of the colours are alike; with the dashes they are told apart.
    """
    chosen = np.linspace(0, len(surface) - 1, 2 * n + 1).round().astype(int)[1::2]
    rows, columns = np.meshgrid(chosen, chosen, indexing="ij")
    is_fake = surface[rows, columns] < 0.45
    place = np.linspace(-limit, limit, len(surface))
    how = dict(marker="_", s=14, linewidths=0.7, color="0.45", zorder=1)
    axis.scatter(place[columns[is_fake]], place[rows[is_fake]], **how)


def _arrows(axis: Axes, starts: np.ndarray, arrows: np.ndarray, reach: float) -> None:
    """Draw arrows (N, 2), at most twice `reach` long; leave out those shorter than a tenth."""
    length = np.hypot(*arrows.T)
    drawn = length > reach / 10
    shrink = np.minimum(1, 2 * reach / length[drawn])[:, None]
    how = dict(angles="xy", scale_units="xy", scale=1, width=0.009, minlength=0, zorder=3)
    axis.quiver(*starts[drawn].T, *(arrows[drawn] * shrink).T, **how)
    how = dict(marker=r"$\rightarrow$", ms=16, mew=0.3, ls="", color="black")
    axis.plot([], [], label="G's push on a fake", **how)


class Lines(NamedTuple):
    """Describe one set of axes with curves, {label: (x, y)}.

    `limits` are the least and the greatest y shown. A curve that ends beyond them leaves the
    picture, and the value at its end is written there. `mark` is (x, label): a dashed vertical
    line, whose label stands above the axes. `raw` has what a smooth curve was made of, under its
    label: it is drawn behind it, thin and pale. `lowest` puts a dot at each curve's least y.
    """

    curves: dict[str, tuple[Any, Any]]
    title: str
    x: str
    y: str
    limits: tuple[float, float] | None = None
    mark: tuple[float, str] | None = None
    raw: dict[str, tuple[Any, Any]] = {}
    lowest: bool = False


def lines(parts: list[Lines], height: float = 3.6, legend_below: bool = False) -> Figure:
    """Draw sets of curves side by side; curves differ in colour and dash. `height` is in inches.

    Curves of at most eight points show them as dots.

    Legends stand below the axes, off the data. With `legend_below` all parts have the same curves,
    and one legend stands below them all. Parts that show one quantity share its scale and name
    then.
    """
    one_quantity = legend_below and len({part.y for part in parts}) == 1
    marked = any(part.mark for part in parts)
    figure, axes = new_figure(1, len(parts), 4.0 * len(parts), height, sharey=one_quantity)
    for axis, part in zip(axes[0], parts, strict=True):
        for i, (label, (x, y)) in enumerate(part.curves.items()):
            how = dict(ls=DASHES[i % 4], marker="o" if len(x) <= 8 else None, ms=5)
            axis.plot(np.asarray(x), np.asarray(y), **how, color=COLOURS[i], label=label)
            if label in part.raw:
                axis.plot(*part.raw[label], color=COLOURS[i], lw=0.7, alpha=0.5, zorder=1)
            if part.lowest:
                at = int(np.argmin(y))
                axis.plot(float(x[at]), float(y[at]), "o", color=COLOURS[i], mec="black", ms=7)
        axis.axhline(0, color="0.85", lw=0.8, zorder=0)
        if part.limits:
            _limit(axis, part)
        if part.mark:
            _marks(axis, [part.mark])
        axis.set_title(part.title, pad=6 + MARK * marked)
        axis.set_xlabel(part.x)
        if axis is axes[0, 0] or not one_quantity:
            axis.set_ylabel(part.y)
        if len(part.curves) > 1 and not legend_below:
            below = dict(loc="upper center", bbox_to_anchor=(0.5, -0.22), borderaxespad=0)
            axis.legend(**below, ncols=2, fontsize=SMALL, frameon=False)
    _legible(axes)
    if legend_below:
        _legend_below(figure, axes[0, 0], LARGE)
    return figure


def _limit(axis: Axes, part: Lines) -> None:
    """Show y within the part's limits; write the value of a curve that ends beyond them."""
    low, high = part.limits
    axis.set_ylim(low, high)
    for i, (x, y) in enumerate(part.curves.values()):
        for end, side, edge in ((0, "left", 0.02), (-1, "right", 1.0)):
            words = f"{float(y[end]):.3g} at {float(x[end]):g}"
            how = dict(ha=side, color=COLOURS[i], fontsize=LARGE, transform=axis.transAxes)
            if y[end] > high:
                axis.text(edge, 1, f"\N{UPWARDS ARROW} {words}", va="top", **how)
            elif y[end] < low:
                axis.text(edge, 0, f"\N{DOWNWARDS ARROW} {words}", va="bottom", **how)


def _marks(axis: Axes, marks: Sequence[tuple[float, str]]) -> None:
    """Draw a dashed vertical line at the x of each (x, label), and the labels above the axes.

    There no label lies on data. Each has a row of its own, MARK points high, and begins at its
    line, or ends there where the line is far to the right. The title needs a pad of as many rows.
    """
    how = dict(color="0.25", ls="--", lw=1.3)
    for x, _ in marks:
        axis.axvline(x, **how)
    left, right = axis.get_xlim()
    for row, (x, label) in enumerate(sorted(marks, reverse=True)):
        fits = x < left + 0.6 * (right - left)
        side, corner = ("left", (0, 0)) if fits else ("right", (1, 0))
        place = dict(xycoords=axis.get_xaxis_transform(), textcoords="offset points")
        place |= dict(xytext=(0, 2 + MARK * row), ha=side, va="bottom", fontsize=LARGE)
        line = dict(arrowstyle="-", relpos=corner, shrinkA=0, shrinkB=0, **how)
        axis.annotate(label, (x, 1), arrowprops=line, **place)


def _legible(axes: np.ndarray) -> None:
    """Set every text of the axes to LARGE."""
    for axis in axes.flat:
        axis.tick_params(labelsize=LARGE)
        for text in (axis.title, axis.xaxis.label, axis.yaxis.label):
            text.set_fontsize(LARGE)


def intensities(
    parts: dict[str, dict[str, Any]],
    x: str,
    bins: int = 40,
    marks: Sequence[tuple[float, str]] | dict[str, Sequence[tuple[float, str]]] = (),
    limits: dict[str, tuple[float, float]] | None = None,
) -> Figure:
    """Draw histograms: a set of axes per part, with {label: values} laid over one another.

    Each histogram has area one, a colour and a dash; `x` names the quantity. `marks` are
    (x, label): dashed vertical lines in every part, or in those that they are given for, whose
    labels stand above the axes. One part is wider with them. `limits` are the least and the
    greatest x of a part, otherwise those of its values.
    """
    of_part = marks if isinstance(marks, dict) else dict.fromkeys(parts, marks)
    rows = max(map(len, of_part.values()), default=0)
    width = 7.0 if rows and len(parts) == 1 else 4.0  # marks close together are seen apart
    above = MARK * rows
    figure, axes = new_figure(1, len(parts), width * len(parts), 3.4 + above / 72)
    for axis, (title, groups) in zip(axes[0], parts.items(), strict=True):
        flat = {label: np.asarray(values).ravel() for label, values in groups.items()}
        window = (limits or {}).get(title)
        edges = np.histogram_bin_edges(np.concatenate(list(flat.values())), bins, window)
        for i, (label, values) in enumerate(flat.items()):
            density, _ = np.histogram(values, edges, density=True)
            if len(flat) < 3:
                axis.stairs(density, edges, fill=True, color=COLOURS[i], alpha=0.25)
            how = dict(ls=DASHES[i % 4], lw=1.6, color=COLOURS[i], label=label)
            axis.stairs(density, edges, **how)
        if window:
            axis.set_xlim(window)
        _marks(axis, of_part.get(title, ()))
        axis.set_title(title, pad=6 + above)
        axis.set(xlabel=x, ylabel="density")
        if len(flat) > 1:
            below = dict(loc="upper center", bbox_to_anchor=(0.5, -0.24), borderaxespad=0)
            axis.legend(**below, ncols=3, fontsize=SMALL, frameon=False)
    _legible(axes)
    return figure


class Bars(NamedTuple):
    """Describe one set of axes of horizontal bars, {label: value}; `log` for values far apart.

    On a logarithmic scale a bar's length says nothing, so that values are dots there. None is a
    number that the paper does not print. `mark` is a vertical line, as in :class:`Lines`.

    Each value is written beside its bar with `digits` significant digits.
    """

    values: dict[str, float | None]
    title: str
    x: str
    log: bool = False
    digits: int = 3
    mark: tuple[float, str] | None = None


def bars(parts: list[Bars], height: float = 2.8) -> Figure:
    """Draw horizontal bars, longest first, each with its number. `height` is in inches."""
    figure, axes = new_figure(1, len(parts), max(6.0, 4.0 * len(parts)), height)
    for axis, part in zip(axes[0], parts, strict=True):
        names = sorted(part.values, key=lambda name: part.values[name] or 0)
        values = [part.values[name] or 0 for name in names]
        numbers = [_in_digits(part.values[name], part.digits) for name in names]
        if part.log:
            axis.plot(values, names, "o", color=COLOURS[0], ms=7)
            axis.set_xscale("log")
            axis.grid(axis="y", color="0.92")
        else:
            axis.barh(names, values, color=COLOURS[0])
        for y, (value, number) in enumerate(zip(values, numbers, strict=True)):
            beside = dict(xytext=(6, 0), textcoords="offset points", va="center", fontsize=SMALL)
            axis.annotate(number, (value, y), **beside)
        axis.set_title(part.title, pad=6 + MARK * bool(part.mark))
        axis.set_xlabel(f"{part.x}, log scale" if part.log else part.x)
        axis.margins(x=0.2)
        if part.mark:
            _marks(axis, [part.mark])
    _legible(axes)
    return figure


def _in_digits(value: float | None, digits: int) -> str:
    """Return a number with so many significant digits; None is one that is not printed."""
    if value is None:
        return "not printed"
    return f"{value:.{digits}g}" if value < 1000 else f"{value:,.0f}"


def scores_of_rows(
    rows: dict[str, list[float]], kinds: dict[str, str], x: str, floor: float
) -> Figure:
    """Draw a line per row: each run's score a dot, their mean a bar, the floor a dashed line.

    `kinds` names the kind of each row; a kind has one colour, and the legend below names it. They
    are coloured in the order of the alphabet, so that "with T" is blue and "without T" orange, as
    in the forest plots.
    """
    figure, ((axis,),) = new_figure(1, 1, 8.0, 0.45 * len(rows) + 1.4)
    colours = dict(zip(sorted(set(kinds.values())), COLOURS, strict=False))
    for y, (name, scores) in enumerate(rows.items()):
        kind = kinds[name]
        how = dict(color=colours[kind], ms=8, alpha=0.8, label=kind)
        axis.plot(scores, [y] * len(scores), "o", **how)
        axis.plot([np.mean(scores)] * 2, [y - 0.32, y + 0.32], color="black", lw=2.5)
    axis.plot([], [], "|", color="black", ms=14, mew=2.5, label="mean")
    axis.axvline(floor, color=PHASE, ls="--", label="real halves")
    axis.set_yticks(range(len(rows)), rows)
    axis.set(xlabel=x, xlim=(0, None))
    axis.invert_yaxis()
    axis.grid(axis="y", color="0.92")
    _legible(np.array([axis]))
    _legend_below(figure, axis, LARGE)
    return figure


def heat_map(values: Tensor, positions: list[int], title: str, unit: str) -> Figure:
    """Draw a signed quantity (rows, columns) over the positions of a box, in pixels.

    Zero is the middle of the colours. Each cell has its number where there are at most a hundred.
    """
    import seaborn as sns  # a second, for which other lessons need not wait

    numbered = values.numel() <= 100
    figure, ((axis,),) = new_figure(1, 1, 5.6, 4.6)
    most = float(values.abs().max())
    how = dict(cmap=_SIGNED, vmin=-most, vmax=most, square=True, cbar_kws={"label": unit})
    how |= dict(annot=numbered, fmt="+.2f", annot_kws={"fontsize": SMALL})
    sns.heatmap(values.numpy(), ax=axis, **how)
    for text, value in zip(axis.texts, values.flatten().tolist(), strict=False):
        text.set_color("white" if value < -0.25 * most else "black")
    middles = [i + 0.5 for i in range(len(positions))]
    axis.set_xticks(middles, positions)
    axis.set_yticks(middles, positions)
    axis.set(title=title, xlabel="left edge of the box (pixels)")
    axis.set_ylabel("top edge of the box (pixels)")
    return figure
