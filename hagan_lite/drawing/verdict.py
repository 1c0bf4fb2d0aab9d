"""Draw verdicts: effects with intervals, models run by run, few images, D over the training."""

import textwrap
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from hagan_lite.drawing.lessons import LARGE
from hagan_lite.drawing.style import (
    COLOURS,
    DASHES,
    FAKE,
    MIXED,
    PHASE,
    REAL,
    _dots_and_mean,
    new_figure,
    say_why_empty,
)

BOTH_WITH_T, NOT_BOTH = COLOURS[0], COLOURS[1]
"""Colours of comparisons in which both sides were trained with T, and of others."""
MARKERS = "osD^vP"
FEW = 4
"""Up to so many runs a bootstrap interval is far too narrow: it covers the true difference in about
67 % of cases at two runs a side, 80 % at three and 86 % at four (docs/claims.md).
"""


class ForestRow(NamedTuple):
    """Describe one line of a forest plot.

    `interval` is None where a side has a single run. `decided` fills the marker; `control` makes
    it smaller: the line asks the claim above it of a fairer rival. `notes` are texts in columns
    beside it.
    `fewest` is the number of runs of the smallest group behind the effect: an interval of FEW runs
    or fewer is dashed.
    """

    name: str
    effect: float
    interval: tuple[float, float] | None
    both_with_t: bool
    decided: bool
    control: bool = False
    notes: tuple[str, ...] = ()
    fewest: int = FEW + 1


def forest(rows: list[ForestRow], columns: tuple[str, ...] = (), title: str = "") -> Figure:
    """Draw effects with their 95 % intervals, one line a comparison; `columns` head the notes.

    Right of 0 the runs go the way of the claim. The colour says whether both sides have T. Dashed
    intervals are those of too few runs.
    """
    wrapped = [_wrapped(row) for row in rows]
    heights = [0.16 + 0.21 * len(lines) for lines in wrapped]
    figure, axes = new_figure(1, 1, 12, sum(heights) + 1.3)
    axis = axes[0, 0]
    if not rows:
        say_why_empty(axis, "no claim has records on both sides")
        return figure
    y, places = 0.0, []
    for height in heights:
        places.append(y + height / 2)
        y += height
    for row, place in zip(rows, places, strict=True):
        colour = BOTH_WITH_T if row.both_with_t else NOT_BOTH
        if row.interval:
            line = _TOO_NARROW if row.fewest <= FEW else _INTERVAL
            axis.plot(row.interval, [place] * 2, color=colour, **line)
        size = 7 if row.control else 10
        face = colour if row.decided else "white"
        axis.plot(row.effect, place, "o", ms=size, mec=colour, mfc=face, mew=2)
    _columns(axis, rows, places, columns)
    axis.axvline(0, color="black", lw=1)
    axis.set_yticks(places, ["\n".join(lines) for lines in wrapped], linespacing=1.2)
    for label, row in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_fontsize(10 if row.control else 10.5)
    axis.set_ylim(y, 0)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.grid(axis="x", color="0.92")
    axis.set_axisbelow(True)
    axis.set_xlabel(
        "how much lower the mean FD is on the side that the claim puts ahead (left of 0: higher)",
        fontsize=LARGE,
    )
    figure.suptitle(title, fontsize=LARGE + 1)
    _forest_legend(figure)
    return figure


_INTERVAL = dict(lw=2.5, solid_capstyle="butt")
_FEW_DASHES = (0, (4, 2))
_TOO_NARROW = dict(lw=1.5, ls=_FEW_DASHES)


def _wrapped(row: ForestRow) -> list[str]:
    return textwrap.wrap(row.name, 58 if row.control else 54, break_on_hyphens=False)


def _columns(
    axis: Axes, rows: list[ForestRow], places: list[float], columns: tuple[str, ...]
) -> None:
    """Write each row's notes to the right of the axes, under the heads `columns`."""
    for i, head in enumerate(columns):
        x = 1.03 + 0.25 * i
        axis.text(x, 1.0, head, transform=axis.transAxes, fontsize=10, va="bottom", weight="bold")
        for row, place in zip(rows, places, strict=True):
            axis.text(x, place, row.notes[i], transform=axis.get_yaxis_transform(), va="center")


def _forest_legend(figure: Figure) -> None:
    def dot(colour: Any, face: Any, label: str) -> Line2D:
        return Line2D([], [], marker="o", ls="", ms=9, mec=colour, mfc=face, mew=2, label=label)

    entries = [
        dot(BOTH_WITH_T, BOTH_WITH_T, "both sides have T"),
        dot(NOT_BOTH, NOT_BOTH, "not both have T"),
        dot("black", "black", "decided (corrected p < 0.05)"),
        dot("black", "white", "undecided"),
        Line2D([], [], color="black", label="95 % interval over runs", **_INTERVAL),
        Line2D(
            [],
            [],
            color="black",
            label="too narrow: two to four runs on a side, or on one of its data sets",
            **_TOO_NARROW,
        ),
    ]
    where = dict(loc="outside lower center", ncols=3, frameon=False)
    figure.legend(handles=entries, fontsize=10, handlelength=3, **where)


class ModelRow(NamedTuple):
    """Describe a model's line in one data set: the scores of its runs, the interval of their mean,
    and what the paper prints.
    """

    name: str
    with_t: bool
    scores: list[float]
    interval: tuple[float, float] | None = None
    printed: str = ""


def runs_by_model(panels: dict[str, list[ModelRow]], unit: str = "FD") -> Figure:
    """Draw each model's runs as points with their mean, one panel a data set.

    All panels list the same models. A shaded column at a panel's right holds what the paper prints.
    """
    names = [row.name for row in next(iter(panels.values()))]
    size = (4.3 * len(panels) + 1, 0.42 * len(names) + 1.6)
    figure, axes = new_figure(1, len(panels), *size, sharey=True)
    figure.get_layout_engine().set(wspace=0.06)  # a column belongs to the panel at its left
    for axis, (title, rows) in zip(axes[0], panels.items(), strict=True):
        for y, row in enumerate(rows):
            _model_row(axis, y, row)
        axis.set_xlabel(f"{unit}, lower is better", fontsize=LARGE)
        axis.set_title(title, fontsize=LARGE + 2)
        if any(row.printed for row in rows):
            above = dict(transform=axis.transAxes, ha="center", va="bottom", fontsize=10)
            axis.text(_COLUMNS_MIDDLE, 1.01, "paper's FID\n(place)", **above)
            shape = dict(transform=axis.transAxes, color="0.93", lw=0, clip_on=False, zorder=0)
            axis.add_patch(Rectangle((_COLUMN, 0), _COLUMNS_WIDTH, 1, **shape))
        axis.grid(color="0.92")
        axis.set_axisbelow(True)
        axis.tick_params(axis="y", length=0)
    axes[0, 0].set_yticks(range(len(names)), names, fontsize=LARGE)
    axes[0, 0].set_ylim(len(names) - 0.5, -0.7)
    entries = [
        Line2D([], [], marker="o", ls="", color=BOTH_WITH_T, label="with T"),
        Line2D([], [], marker="o", ls="", color=NOT_BOTH, label="without T"),
        Line2D([], [], ls="", marker="|", ms=14, mew=2, color="black", label="mean of several"),
        Line2D([], [], color="black", lw=1.2, label="95 % interval"),
        Line2D(
            [],
            [],
            color="black",
            lw=1.2,
            ls=_FEW_DASHES,
            label="too narrow: three or four runs (fewer have none)",
        ),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=5, fontsize=10, frameon=False)
    return figure


_COLUMN, _COLUMNS_WIDTH = 1.02, 0.27
"""Where the column of printed FIDs begins, and how wide it is, as shares of the axes' width."""
_COLUMNS_MIDDLE = _COLUMN + _COLUMNS_WIDTH / 2


def _model_row(axis: Axes, y: int, row: ModelRow) -> None:
    """Draw one model's runs at height `y`, with their mean and its interval."""
    colour = BOTH_WITH_T if row.with_t else NOT_BOTH
    if row.scores:
        _dots_and_mean(axis, y, row.scores, float(np.mean(row.scores)), color=colour)
    if row.interval:
        dashes = _FEW_DASHES if len(row.scores) <= FEW else "-"
        axis.plot(row.interval, [y] * 2, color="black", lw=1.2, ls=dashes, zorder=3)
    beside = dict(transform=axis.get_yaxis_transform(), va="center")
    if row.printed:
        axis.text(_COLUMNS_MIDDLE, y, row.printed, ha="center", fontsize=10, **beside)
    if not row.scores:
        axis.text(0.5, y, "no run", ha="center", fontsize=9, color="0.6", **beside)


def few_images(table: pd.DataFrame) -> Figure:
    """Draw tables.runs_on_few_images: KID against held-out images, and D's AUC, over their number.

    One column a data set, one colour and dash a model; a line joins the means, each dot is a run.
    At an AUC of 1/2 D cannot tell images that it was trained on from others.
    """
    data = list(dict.fromkeys(table["data"]))
    entries: dict[str, Line2D] = {}
    figure, axes = new_figure(2, len(data), 4.6 * len(data), 6.2, sharex="col", sharey="row")
    for (upper, lower), name in zip(axes.T, data, strict=True):
        of_data = table[table["data"] == name]
        for i, model in enumerate(dict.fromkeys(table["model"])):
            mine = of_data[of_data["model"] == model]
            for axis, score in ((upper, "KID, held out"), (lower, "D's AUC")):
                beside = 1.05 ** (i - 1)  # so that no model's dots hide another's
                mean = mine.groupby("training images")[score].mean()
                line = dict(color=COLOURS[i], ls=DASHES[i % 4], lw=2)
                axis.plot(mean.index * beside, mean, **line)
                how = dict(color=COLOURS[i], marker=MARKERS[i], alpha=0.8)
                axis.scatter(mine["training images"] * beside, mine[score], s=45, zorder=3, **how)
            entries[model] = Line2D([], [], marker=MARKERS[i], ms=7, label=model, **line)
        lower.axhline(0.5, color=PHASE, lw=1.5)
        numbers = sorted(set(of_data["training images"]))
        for axis in (upper, lower):
            axis.set_xscale("log")
            axis.minorticks_off()
            axis.set_xticks(numbers, [f"{n:,}" for n in numbers])
            axis.tick_params(labelsize=LARGE)
            axis.grid(color="0.92")
            axis.set_axisbelow(True)
        upper.set_title(name, fontsize=LARGE + 2)
        lower.set_xlabel("training images", fontsize=LARGE + 1)
    axes[0, 0].set_ylim(0, 1.1 * table["KID, held out"].max())
    axes[1, 0].set_ylim(0.45, 1.02)
    axes[0, 0].set_ylabel("KID against held-out\nimages (lower is better)", fontsize=LARGE + 1)
    axes[1, 0].set_ylabel(
        "chance that D scores a training\nimage above a held-out one", fontsize=LARGE
    )
    chance = Line2D([], [], color=PHASE, lw=1.5, label="chance: D knows no image by heart")
    where = dict(loc="outside lower center", ncols=4, frameon=False, handlelength=3.4)
    figure.legend(handles=[*entries.values(), chance], fontsize=LARGE, **where)
    return figure


_SCORES = {
    "training": (REAL, "-", "above: training images"),
    "heldout": (REAL, "--", "above: held-out images"),
    "generated": (FAKE, "-", "above: generated images"),
}
_CHANCES = {
    "auc": (REAL, "-.", "below: a training image over a held-out one"),
    "image": (FAKE, "--", "below: a held-out image over a generated one"),
    "pixel": (MIXED, "-", "below: a real pixel over a generated one, in mixed images"),
}
_GUESS = "below: a guess"


def d_over_training(groups: dict[str, list[dict[str, list[float]]]], title: str = "") -> Figure:
    """Draw how D judged images while it learnt, one column a model, from D's own records.

    A group holds what generalization.over_training returned for each run of a model, all with the
    same steps. Above are the image branch's mean scores, below three chances; a thick line is the
    mean of the runs, a thin one a run.
    """
    groups = {name: runs for name, runs in groups.items() if runs}
    if not groups:
        figure, axes = new_figure(1, 1, 7.5, 5)
        say_why_empty(axes[0, 0], "no record of D: hagan run --curve --set heldout=0.2")
        return figure
    width = max(3.1 * len(groups), 8.0)  # the legend needs as much
    figure, axes = new_figure(2, len(groups), width, 6.6, sharex=True, sharey="row")
    for (upper, lower), (name, runs) in zip(axes.T, groups.items(), strict=True):
        for axis, kinds in ((upper, _SCORES), (lower, _CHANCES)):
            for kind, (colour, dash, label) in kinds.items():
                lines = np.array([run[kind] for run in runs if kind in run])
                steps = runs[0]["step"]
                if len(lines) > 1:
                    axis.plot(steps, lines.T, dash, color=colour, lw=0.8, alpha=0.6)
                if len(lines):
                    axis.plot(steps, lines.mean(0), dash, color=colour, lw=2.5, label=label)
            axis.tick_params(labelsize=LARGE)
            axis.grid(color="0.92")
        lower.axhline(0.5, color=PHASE, ls=":", lw=1.5, label=_GUESS)
        of_runs = f"{len(runs)} runs" if len(runs) > 1 else "1 run"
        upper.set_title(f"{name}, {of_runs}", fontsize=LARGE + 1)
        lower.set_xlabel("training step", fontsize=LARGE + 1)
    axes[0, 0].set_ylabel("mean score of D's image\nbranch (real is 1, fake is 0)", fontsize=LARGE)
    axes[1, 0].set_ylabel("chance that D scores\none image over another", fontsize=LARGE)
    figure.suptitle(title, fontsize=LARGE + 2)
    _d_legend(figure, axes, thin=any(len(runs) > 1 for runs in groups.values()))
    return figure


def _d_legend(figure: Figure, axes: np.ndarray, thin: bool) -> None:
    """Draw the legend of :func:`d_over_training`: at the left what is above, then what is below.

    `thin` says whether thin lines are drawn anywhere.
    """
    drawn = {}
    for axis in axes.flat:  # a model without a pixel branch lacks one of them
        drawn |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    entries = {label: drawn[label] for _, _, label in _SCORES.values() if label in drawn}
    if thin:
        pair = tuple(Line2D([], [], color="black", lw=lw) for lw in (0.8, 2.5))
        entries["thin: a run, thick: the mean of the runs"] = pair
    names = [label for _, _, label in _CHANCES.values()] + [_GUESS]
    entries |= {label: drawn[label] for label in names if label in drawn}
    where = dict(loc="outside lower center", ncols=2, frameon=False, fontsize=LARGE - 1)
    how = dict(handlelength=4, handler_map={tuple: HandlerTuple(ndivide=None)})
    figure.legend(entries.values(), entries.keys(), **where, **how)
