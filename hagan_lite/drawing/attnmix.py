"""Draw AttnMix at work: Figure 7 on batches of a training, and the shift of its labels."""

from dataclasses import fields
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from hagan_lite.attnmix import Labels, Mixed, mix
from hagan_lite.drawing.style import (
    COLOURS,
    DASHES,
    MIXED,
    _legend_below,
    _over_steps,
    new_figure,
    outline,
    saliency_scale,
    say_why_empty,
    show_image,
)
from hagan_lite.drawing.training import shift_band
from hagan_lite.paper import EXAMPLES

_HEADS = ("fake", "real", "mixed, i", "mask M (white = real)", "saliency A / mean(A)")


def figure_7(
    mixed: Mixed, indices: list[int], title: str = "", names: tuple[str, ...] = ()
) -> Figure:
    """Draw the paper's Figure 7 on our own training: fake, real, mixed, mask and saliency map.

    There is a row per index of the batch, with its name at the left if there are `names`. The
    numbers under the mask are the share of "real" in the label, by area (lambda_0) and after
    saliency (lambda). On the map the border of the mask is outlined.
    Saliency is drawn as its ratio to the mean: 1 is the average pixel in every row; see
    :func:`saliency_scale`.
    """
    composed = mix(mixed.real, mixed.fake, mixed.mask)
    figure, axes = new_figure(len(indices), 5, 10.5, 2.15 * len(indices) + 0.4)
    ratio = mixed.saliency / mixed.saliency.mean((1, 2, 3), keepdim=True)
    scale = saliency_scale(float(ratio[indices].max()))
    for row, i in zip(axes, indices, strict=True):
        for axis, images in zip(row, (mixed.fake, mixed.real, composed), strict=False):
            show_image(axis, images[i])
        _, _, _, mask, saliency = row
        show_image(mask, mixed.mask[i, 0], cmap="gray", vmin=0, vmax=1)
        mask.add_patch(Rectangle((0, 0), 1, 1, fill=False, ec="0.6", transform=mask.transAxes))
        # Rounded first: the three printed numbers then add up.
        lambda_0, lam = round(float(mixed.lambda_0[i]), 3), round(float(mixed.lam[i]), 3)
        shift = lam - lambda_0
        label = f"$\\lambda_0$ {lambda_0:.3f} $\\to$ $\\lambda$ {lam:.3f}  ({shift:+.3f})"
        mask.text(0.5, -0.12, label, ha="center", fontsize=9, transform=mask.transAxes)
        shown = saliency.imshow(ratio[i, 0], cmap="cividis", norm=scale)
        outline(saliency, mixed.mask[i, 0])
        saliency.set_axis_off()
        figure.colorbar(shown, ax=saliency, shrink=0.85)
    for axis, head in zip(axes[0], _HEADS, strict=True):
        axis.set_title(head, fontsize=10)
    beside = dict(ha="right", va="center", rotation=90, fontsize=10)
    for axis, name in zip(axes[:, 0], names, strict=False):
        lines = name.replace(", ", ",\n")  # a row is two inches high
        axis.text(-0.06, 0.5, lines, transform=axis.transAxes, **beside)
    figure.suptitle(title)
    return figure


def shifts_by_area(labels: dict[str, Labels], chances: dict[str, float], title: str = "") -> Figure:
    """Draw how far labels move at each area, for each reading of the map.

    The paper's examples stand among them. `labels` (figure7.label_shifts) and `chances`
    (figure7.chance_of_the_papers_shifts) are by reading. Light: 5 to 95 % of the masks of an area,
    dark: the middle half.
    """
    figure, axes = new_figure(1, len(labels), 5.2 * len(labels), 3.9, sharey=True)
    for axis, (name, of_reading) in zip(axes[0], labels.items(), strict=True):
        _band_by_area(axis, of_reading)
        for (data, (area, adjusted)), marker in zip(EXAMPLES.items(), "osv", strict=True):
            how = dict(color="black", ms=7, ls="none", label=f"the paper's {data}")
            axis.plot(area, adjusted - area, marker, **how)
        axis.axhline(0, color="0.7", lw=0.8, zorder=0)
        axis.set(title=f"map: {name}\nchance of the paper's three: {chances[name]:.2g}")
        axis.set(xlabel="lambda_0, share of real pixels", xlim=(0, 1))
    axes[0, 0].set_ylabel("shift of the label, lambda - lambda_0")
    _legend_below(figure, axes[0, 0], 10)
    figure.suptitle(title)
    return figure


def _band_by_area(axis: Axes, labels: Labels) -> None:
    """Draw quantiles of the shift in bins of lambda_0; bins of fewer than 20 masks stay empty."""
    levels = torch.tensor([0.05, 0.25, 0.75, 0.95])
    edges = torch.linspace(0, 1, 21)
    shift = labels.lam - labels.lambda_0
    bins = torch.bucketize(labels.lambda_0, edges)
    filled = [i for i in range(1, len(edges)) if (bins == i).sum() >= 20]
    middle = [float(edges[i - 1] + edges[i]) / 2 for i in filled]
    quantiles = torch.stack([shift[bins == i].quantile(levels) for i in filled])
    low, lower, upper, high = quantiles.T
    band = dict(color=MIXED, lw=0)
    axis.fill_between(middle, low, high, alpha=0.25, label="5-95 % of our masks", **band)
    axis.fill_between(middle, lower, upper, alpha=0.55, label="25-75 %", **band)


def typical(mixed: Mixed, n: int = 3) -> list[int]:
    """Return n rows of a batch to show, so that Figure 7 shows the range and not the best.

    Among boxes with both parts visible they lead from the most negative shift over the middle to
    the most positive one.
    """
    shift = (mixed.lam - mixed.lambda_0).tolist()
    ordered = sorted(_visible(mixed), key=lambda i: shift[i])
    places = torch.linspace(0, len(ordered) - 1, min(n, len(ordered))).tolist()
    return [ordered[round(place)] for place in places]


def one_of_each(batches: list[Mixed]) -> Mixed:
    """Return one row of every batch, as one batch.

    Among boxes with both parts visible it is the one whose label moved by the median amount, so
    that nobody chose it. The images have one size and as many channels.
    """
    rows = []
    for mixed in batches:
        moved = (mixed.lam - mixed.lambda_0).abs().tolist()
        by_shift = sorted((moved[i], i) for i in _visible(mixed))
        _, median = by_shift[len(by_shift) // 2]
        rows.append(_row(mixed, median))
    return Mixed(**{name: torch.stack([row[name] for row in rows]) for name in rows[0]})


def _row(mixed: Mixed, i: int) -> dict[str, Tensor]:
    """Return row i of every field of a batch."""
    return {field.name: getattr(mixed, field.name)[i] for field in fields(Mixed)}


def _visible(mixed: Mixed) -> list[int]:
    """Return the rows in which each part covers more than a tenth; all rows where none does."""
    areas = mixed.lambda_0.tolist()
    return [i for i, area in enumerate(areas) if 0.1 < area < 0.9] or list(range(len(areas)))


def shift_over_training(log: list[dict[str, Any]], phase_two: int, title: str = "") -> Figure:
    """Draw what lies behind Figure 7 over a training, from the lines of its log.

    Four panels: the label's shift with the paper's examples, the attention's gamma, the entropy of
    the attention matrix, and how wide the shift is at which entropy.
    """
    figure, axes = new_figure(2, 2, 10.5, 7.2)
    shifts, gamma, entropy, together = axes.flat
    shift_band(shifts, log, paper=True)
    _gamma(gamma, log)
    with_entropy = [line for line in log if "entropy" in line]
    _entropy(entropy, with_entropy)
    _over_steps((shifts, gamma, entropy), phase_two, columns=2)
    _width_at_entropy(together, [line for line in with_entropy if "shift" in line])
    figure.suptitle(title)
    return figure


def _gamma(axis: Axes, log: list[dict[str, Any]]) -> None:
    """Draw gamma of every attention layer over the steps."""
    step = [line["step"] for line in log]
    keys = [key for key in log[-1] if key.startswith("gamma_")]
    for i, key in enumerate(keys):
        size = key.removeprefix("gamma_")
        values = [line[key] for line in log]
        how = dict(color=COLOURS[i], ls=DASHES[i % 4], label=f"attention at {size}x{size}")
        axis.plot(step, values, **how)
    axis.axhline(0, color="0.85", lw=0.8, zorder=0)
    axis.set(title="gamma: the attention's share", ylabel="gamma (starts at 0)")


def _entropy(axis: Axes, log: list[dict[str, Any]]) -> None:
    """Draw the entropy of the last attention matrix over the steps; each line of the log has it."""
    step = [line["step"] for line in log]
    axis.plot(step, [line["entropy"] for line in log], color=COLOURS[0])
    axis.set(title="Entropy of the last attention matrix's rows")
    axis.set(ylabel="entropy / log N", ylim=(0, 1.02))
    axis.axhline(1, color="0.7", lw=0.8, ls="--", label="uniform attention")


def _width_at_entropy(axis: Axes, log: list[dict[str, Any]]) -> None:
    """Draw the width of the shift at each entropy, coloured by the step; each line has both."""
    axis.set(title="The shift, as the attention learns", ylabel="width of the shift, 5 to 95 %")
    axis.set(xlabel="entropy / log N of the attention matrix (1: uniform)")
    if not log:
        say_why_empty(axis, "no AttnMix in this run")
        return
    entropies = [line["entropy"] for line in log]
    widths = [line["shift"][-1] - line["shift"][0] for line in log]
    steps = [line["step"] for line in log]
    dots = axis.scatter(entropies, widths, c=steps, s=16, cmap="cividis")
    axis.figure.colorbar(dots, ax=axis, label="training step")
    axis.set_ylim(0, None)
