"""Draw the evaluation: Gaussians, bias, neighbourhoods, samples side by side, learning curves."""

import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Ellipse
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, ScalarFormatter
from torch import Tensor

from hagan_lite.drawing.style import (
    COLOURS,
    FAKE,
    MIXED,
    PHASE,
    REAL,
    _dots_and_mean,
    _legend_below,
    new_figure,
    say_why_empty,
    show_image,
    side_by_side,
)
from hagan_lite.runs.record import DISTANCES, distance_of


def gaussians(pairs: list[tuple[Tensor, Tensor, str]]) -> Figure:
    """Draw 2D clouds (n, 2), two to a panel, each with the Gaussian that is fitted to it.

    Its ellipse is at two standard deviations, as the legend says. `pairs` are (real, generated,
    title).
    """
    figure, axes = new_figure(1, len(pairs), 3 * len(pairs), 3.2, sharex=True, sharey=True)
    for axis, (a, b, title) in zip(axes[0], pairs, strict=True):
        for cloud, colour, label in ((a, REAL, "real"), (b, FAKE, "generated")):
            axis.scatter(*cloud.T, s=4, color=colour, alpha=0.4, label=label)
            axis.add_patch(_ellipse(cloud, colour))
        axis.set(title=title, xlabel="feature 1", aspect="equal")
    axes[0, 0].set_ylabel("feature 2")
    axes[0, 0].plot([], [], color="0.3", lw=2, label="fitted Gaussian, at two standard deviations")
    _legend_below(figure, axes[0, 0], 10)
    return figure


def _ellipse(cloud: Tensor, colour: Any) -> Ellipse:
    """Return the ellipse at two standard deviations of the Gaussian fitted to a cloud (n, 2)."""
    values, vectors = torch.linalg.eigh(cloud.T.cov())  # ascending
    angle = float(torch.rad2deg(torch.atan2(vectors[1, 1], vectors[0, 1])))
    across, along = (4 * values.clamp_min(0).sqrt()).tolist()
    centre = cloud.mean(0).tolist()
    return Ellipse(centre, along, across, angle=angle, fill=False, color=colour, lw=2)


def models_side_by_side(
    blocks: dict[str, np.ndarray], title: str = "", tiles=(3, 4), across: int = 4
) -> Figure:
    """Draw the first images of several models as blocks, all in the same grey window.

    `blocks` holds uint8 images (N, C, H, W) by name, which stands above the block; each block has
    `tiles` (rows, columns), and a row has at most `across` blocks, each about as many.
    """
    side = next(iter(blocks.values())).shape[-1]
    down = math.ceil(len(blocks) / across)
    across = math.ceil(len(blocks) / down)
    names = [textwrap.wrap(name, 36, break_long_words=False) for name in blocks]
    # Inches of 150 pixels: no pixel of a large image is lost.
    width = max(3.1, tiles[1] * side / 140)
    height = width * tiles[0] / tiles[1] + 0.1 + 0.22 * max(map(len, names))
    above = 0.3 if title else 0.0
    figure, axes = new_figure(down, across, width * across, height * down + above)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, name, images in zip(axes.flat, names, blocks.values(), strict=False):
        show_image(axis, side_by_side(images, tiles), "\n".join(name))
        axis.title.set_fontsize(11)
    figure.suptitle(title)
    return figure


def over_n(
    scores: dict[int, list[float]], title: str, marked: int, unit: str, log: bool = True
) -> Figure:
    """Draw mean and standard deviation of several scores over the number of images.

    `scores` holds them by that number; a dashed line stands at `marked`; `unit` names the score.
    """
    figure, axes = new_figure(1, 1, 6, 3.4)
    axis, values = axes[0, 0], np.array(list(scores.values()))
    mean, sd = values.mean(1), values.std(1, ddof=1)
    label = f"mean of {values.shape[1]} scores; bars: one standard deviation up and down"
    axis.errorbar(scores.keys(), mean, sd, fmt="o-", color=REAL, capsize=3, label=label)
    axis.axvline(marked, color=PHASE, ls="--", lw=1)
    axis.annotate(
        f" n = {marked}", (marked, 0.96), xycoords=("data", "axes fraction"), fontsize=10, va="top"
    )
    axis.set(xscale="log", yscale="log" if log else "linear")
    log_scale = ", log scale" if log else ""
    axis.set(title=title, xlabel="images in each set, log scale", ylabel=f"{unit}{log_scale}")
    axis.set_xticks(list(scores), [str(n) for n in scores])
    axis.xaxis.set_minor_locator(NullLocator())
    if log:
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.yaxis.set_minor_formatter(NullFormatter())
    else:
        axis.axhline(0, color=PHASE, lw=1)
    _legend_below(figure, axis, 10)
    return figure


def neighbourhoods(panels: list[tuple[Tensor, Tensor, str]], k: int = 3) -> Figure:
    """Draw 2D clouds (n, 2), above with each real point's ball up to its k-th neighbour.

    A generated point inside some ball counts for precision. Below are the generated points' balls;
    there a real point inside one counts for recall. Filled points are inside, open ones outside.
    `panels` are (real, generated, title).
    """
    figure, axes = new_figure(2, len(panels), 3 * len(panels), 6, sharex=True, sharey=True)
    for (above, below), (real, fake, title) in zip(axes.T, panels, strict=True):
        _balls(above, real, fake, k, (REAL, FAKE), ("o", "s"))
        _balls(below, fake, real, k, (FAKE, REAL), ("s", "o"))
        above.set(title=title, aspect="equal")
        below.set(xlabel="feature 1", aspect="equal")
    axes[0, 0].set_ylabel("precision: generated points\nin balls of real ones")
    axes[1, 0].set_ylabel("recall: real points\nin balls of generated ones")
    entries = [
        Line2D([], [], ls="", marker="o", color=REAL, label="real"),
        Line2D([], [], ls="", marker="s", color=FAKE, label="generated"),
        Line2D([], [], ls="", marker="o", color="black", label="filled: inside a ball"),
        Line2D([], [], ls="", marker="o", mfc="none", mec="black", label="open: in no ball"),
    ]
    how = dict(loc="outside lower center", ncols=4, frameon=False, fontsize=10)
    figure.legend(handles=entries, **how)
    return figure


def _balls(
    axis: Axes,
    centres: Tensor,
    points: Tensor,
    k: int,
    colours: tuple[Any, Any],
    markers: tuple[str, str],
) -> None:
    """Draw the ball of each centre up to its k-th neighbour, and the points inside and outside.

    `colours` and `markers` are those of the centres and of the points.
    """
    radii = torch.cdist(centres, centres).kthvalue(k + 1).values
    inside = (torch.cdist(points, centres) <= radii).any(1)
    for centre, radius in zip(centres.tolist(), radii.tolist(), strict=True):
        axis.add_patch(Circle(centre, radius, color=colours[0], alpha=0.12, lw=0))
    axis.scatter(*centres.T, s=9, color=colours[0], marker=markers[0], alpha=0.6)
    how = dict(s=18, marker=markers[1], edgecolors=[colours[1]])
    axis.scatter(*points[inside].T, facecolors=[colours[1]], **how)
    axis.scatter(*points[~inside].T, facecolors="none", **how)


def audited(audits: dict[str, Any], unit: str = "distance to the nearest training image") -> Figure:
    """Draw, for each audit.Audit, the share of images that lie at most so far away.

    One curve is for samples, one for real images that are set aside. A curve of samples far to the
    left of the real images' means copies.
    """
    figure, axes = new_figure(1, len(audits), 4 * len(audits), 3)
    for axis, (title, audit) in zip(axes[0], audits.items(), strict=True):
        axis.ecdf(audit.heldout, color=REAL, ls="-", label="real images set aside")
        axis.ecdf(audit.samples, color=FAKE, ls="--", label="samples")
        axis.set(title=f"{title} (p = {audit.p:.2g})")
        axis.set(xlabel=unit, ylabel="share at most this far")
        axis.set_xlim(left=0)
    _legend_below(figure, axes[0, 0], 10)
    return figure


def pairs(
    samples: np.ndarray, training: np.ndarray, audit: Any, title: str = "", n: int = 6
) -> Figure:
    """Draw the n samples that lie nearest to a training image, above that image.

    Below both is how far they differ, pixel by pixel, four times as bright: 0 is black, 64 and
    more are white. In the images' own window the differences of a copy and those of a mere
    likeness would look black alike. Images are uint8 (N, C, H, W); `audit` is their audit.Audit.
    """
    chosen = audit.closest(n)
    side = 1.6
    figure, axes = new_figure(3, len(chosen), side * len(chosen) + 1.1, 3 * side + 0.7)
    for column, i in enumerate(chosen):
        sample, nearest = samples[i], training[audit.nearest[i]]
        difference = np.abs(sample.astype(int) - nearest)
        title_of_column = f"distance {audit.samples[i]:.1f}"
        show_image(axes[0, column], sample, title_of_column)
        show_image(axes[1, column], nearest)
        show_image(axes[2, column], (4 * difference).clip(0, 255).astype(np.uint8))
        axes[0, column].title.set_fontsize(11)
    rows = ("sample", "its nearest\ntraining\nimage", "difference,\n4 times\nas bright")
    how = dict(ha="right", va="center", fontsize=11)
    for axis, label in zip(axes[:, 0], rows, strict=True):
        axis.text(-0.08, 0.5, label, transform=axis.transAxes, **how)
    figure.suptitle(title, fontsize=12)
    return figure


_WITH_T = dict(label="with T", color=COLOURS[0])
_WITHOUT_T = dict(label="without T", color=COLOURS[1])


def recipes(
    table: pd.DataFrame,
    of_row: dict[str, list[dict[str, Any]]],
    printed: str = "Table IV",
    start: float | None = None,
) -> Figure:
    """Draw a line per row of tables.of_rows: each run's score a dot, their mean a bar.

    Blue runs were trained with T, orange ones without, as in the forest plots. The ladder, the
    ladder without T and the controls stand apart, each under a head (:func:`_parts`).

    `of_row` holds the records of each row that has any (record.by_row), at least one. Beside it
    stands the paper's FID of the table `printed`, on a scale of its own: our distance and the
    paper's FID cannot be compared. A number that the paper prints once is written once; squares of
    further readings of its row are hollow. `start` is where HAGAN's training starts: the distance
    of images of its untrained generator.
    """
    column = next(name for name in table if name.startswith("our "))
    kind = column.split()[1]
    digits = next(distance.digits for distance in DISTANCES.values() if distance.label == kind)
    floor = table[f"{kind} of real halves"].mean()
    heads, places = _parts(list(table["row"]))
    size = (10, 0.29 * (len(table) + len(heads)) + 1.3)
    figure, (axes,) = new_figure(1, 2, *size, sharey=True, width_ratios=[2, 1])
    measured, paper = axes
    for y, row in zip(places, table.to_dict("records"), strict=True):
        if row["row"] in of_row:
            scores = [round(distance_of(r), digits) for r in of_row[row["row"]]]  # as printed
            with_T = of_row[row["row"]][0]["experiment"]["augment"]
            how = _WITH_T if with_T else _WITHOUT_T
            _dots_and_mean(measured, y, scores, row[column], **how)
        else:
            where = dict(transform=measured.get_yaxis_transform(), ha="center", va="center")
            where |= dict(bbox=dict(color="white", pad=1))  # off the grid's line
            measured.text(0.5, y, "no run", fontsize=9, color="0.5", **where)
    _printed_fids(paper, places, table["paper's FID"])
    measured.axvline(floor, color=PHASE, ls="--", lw=1, label=f"{kind} of real halves")
    if start is not None:
        measured.axvline(start, color=PHASE, ls=":", lw=1.5, label="untrained HAGAN")
    measured.set_yticks(places, table["row"])
    measured.set_yticks(list(heads), heads.values(), minor=True, weight="bold")
    for axis in axes:
        axis.tick_params(axis="y", which="both", length=0)
        for y in list(heads)[1:]:
            axis.axhline(y - 0.6, color="0.6", lw=1)
    measured.set_xlabel(f"{column.removeprefix('our ')}, lower is better")
    record = next(iter(of_row.values()))[0]
    e, data = record["experiment"], record["data"]["name"]
    where = f"{data}, {e['size']}x{e['size']}, {e['steps']:,} steps"
    measured.set_title(f"{where}: each run, and their mean")
    paper.set(xlabel="FID", title=f"printed in {printed}")
    measured.set_ylim(places[-1] + 0.7, min([*heads, *places]) - 0.7)
    for axis in axes:
        axis.grid(axis="y", color="0.92")
        axis.set_axisbelow(True)
    _legend_below(figure, axes, 10, columns=3)
    return figure


def _parts(rows: list[str]) -> tuple[dict[float, str], list[float]]:
    """Return the heads of the parts of a table by their heights, and the height of every row.

    Between parts there is a gap. Rows that are all of one part have no head.
    """
    parts = [_part_of(row) for row in rows]
    heads, places, y = {}, [], 0.0
    for i, part in enumerate(parts):
        if len(set(parts)) > 1 and (i == 0 or part != parts[i - 1]):
            y += 0.4 if i else 0
            heads[y] = part
            y += 1
        places.append(y)
        y += 1
    return heads, places


def _part_of(row: str) -> str:
    """Return which part of experiments.ladder a row belongs to; rows of other tables are alike."""
    if row.endswith(", no T yet"):
        return "The ladder, T in row 5 alone"
    if row == "base" or row.startswith("+ "):
        return "The ladder, T from row 2 on"
    return "Controls"


def _printed_fids(axis: Axes, places: list[float], fids: pd.Series) -> None:
    """Draw the paper's FIDs at the heights `places`, and write each number at its first row."""
    seen: set[float] = set()
    for y, fid in zip(places, fids, strict=True):
        if pd.isna(fid):
            continue
        if fid in seen:
            how = dict(mfc="white", label="the same number, for another reading of its row")
        else:
            how = dict(mfc=MIXED, label="the paper's FID")
            place = dict(xytext=(7, 0), textcoords="offset points", va="center", fontsize=9)
            axis.annotate(f"{fid:.1f}", (fid, y), **place)
        axis.plot(fid, y, "s", color=MIXED, ms=6, **how)
        seen.add(fid)
    axis.set_xlim(0, 1.3 * fids.max())


def learning_curves(groups: dict[str, list[dict[str, Any]]], title: str = "") -> Figure:
    """Draw FD over the training, a panel a group: its mean, and a band from least to most.

    A group holds the records of one recipe, all of one extractor (record.by_row); grey lines are
    the means of the other groups. A ring marks the smallest mean, which is what "the best
    checkpoint" reports. Records without a curve, or with other steps than the first of their group,
    are left out. The axis is logarithmic, because FD falls several-fold and late differences are
    small. The floor lies far below and stands as a number.
    """
    alike = {name: _with_the_same_steps(records) for name, records in groups.items()}
    drawn = {name: records for name, records in alike.items() if records}
    if not drawn:
        figure, axes = new_figure(1, 1, 7.5, 5)
        say_why_empty(axes[0, 0], "no record has a curve: hagan run --curve")
        return figure
    rows = math.ceil(len(drawn) / 3)
    columns = math.ceil(len(drawn) / rows)  # four panels stand two by two
    figure, axes = new_figure(
        rows, columns, 4 * columns, 3.3 * rows + 0.7, sharex=True, sharey=True
    )
    curves = {name: [record["curve"] for record in records] for name, records in drawn.items()}
    kind = next(key for key in next(iter(curves.values()))[0] if key != "step")
    digits = DISTANCES[kind].digits
    for axis, (name, mine) in zip(axes.flat, curves.items(), strict=False):
        for other in curves.values():
            if other is not mine:
                _, means = _scores_over_steps(other, kind)
                axis.plot(other[0]["step"], means, color="0.75", lw=1, label="the others' means")
        last = _mean_and_band(axis, mine, kind)
        of_runs = f"{len(mine)} runs" if len(mine) > 1 else "1 run"
        axis.set_title(f"{name}, {of_runs}, at the end {last:.{digits}f}", fontsize=11)
    _label_panels(axes, len(drawn), DISTANCES[kind].label)
    floor = np.mean(
        [record["metrics"]["floor"] for records in drawn.values() for record in records]
    )
    below = f"one half of the real images against the other: {floor:.{digits}f}"
    figure.suptitle(f"{title} ({below})" if title else below, fontsize=12)
    _legend_below(figure, axes[0, 0], 10)
    return figure


def _scores_over_steps(
    curves: list[dict[str, list[float]]], kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of several runs (runs, steps), and their mean (steps,)."""
    scores = np.array([curve[kind] for curve in curves])
    return scores, scores.mean(0)


def _mean_and_band(axis: Axes, curves: list[dict[str, list[float]]], kind: str) -> float:
    """Draw the mean of runs, a band from the least to the most; return the mean at the end."""
    step, (scores, mean) = curves[0]["step"], _scores_over_steps(curves, kind)
    axis.fill_between(step, scores.min(0), scores.max(0), color=COLOURS[0], alpha=0.2, lw=0)
    axis.plot(step, mean, color=COLOURS[0], lw=2.5, label="mean; band: from least to most")
    ring = dict(color=COLOURS[0], ms=10, fillstyle="none", label="the smallest mean")
    axis.plot(step[mean.argmin()], mean.min(), "o", **ring)
    axis.set_yscale("log")
    return mean[-1]


def _label_panels(axes: np.ndarray, n: int, label: str) -> None:
    """Label the first n of axes (rows, columns) that share a logarithmic scale; hide the rest."""
    columns = axes.shape[1]
    for axis in axes.flat[:n]:
        axis.grid(color="0.92")
    for axis in axes.flat[n:]:
        axis.set_axis_off()
    for axis in axes.flat[max(0, n - columns) : n]:  # the lowest of each column
        axis.set_xlabel("training step")
        axis.tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel(f"{label}, log scale")
    scale = axes[0, 0].yaxis
    scale.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 3, 4, 6, 8)))
    scale.set_major_formatter(ScalarFormatter())
    scale.set_minor_formatter(NullFormatter())


def _with_the_same_steps(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records whose curve has the steps of the first record's curve."""
    if not records or "curve" not in records[0]:
        return []
    steps = records[0]["curve"].get("step")
    return [r for r in records if steps and r.get("curve", {}).get("step") == steps]
