"""The plots of AttnMix at work: Figure 7 on batches of a training, and its label's shift as the
attention learns.
"""

from dataclasses import fields

import torch
from matplotlib.figure import Figure

from hagan_lite.attnmix import Labels, Mixed, mix
from hagan_lite.drawing.style import (
    COLOURS,
    MIXED,
    _absent,
    _figure,
    _over_steps,
    _picture,
    saliency_scale,
)
from hagan_lite.drawing.training import shift_band
from hagan_lite.paper import EXAMPLES


def figure_7(
    mixed: Mixed, indices: list[int], title: str = "", names: tuple[str, ...] = ()
) -> Figure:
    """The paper's Figure 7 on our own training: fake, real, mixed, mask with both labels, and the
    saliency map.

    One row per index of the batch, with its name at the left if there are `names`. The numbers are
    the share of "real" in the label, by area and after saliency. Saliency is drawn as its ratio to
    the mean: 1 is the average pixel in every row; see :func:`saliency_scale`.
    """
    composed = mix(mixed.real, mixed.fake, mixed.mask)
    figure, axes = _figure(len(indices), 5, 10.5, 2.15 * len(indices) + 0.4)
    heads = (
        "fake, T(G(z))",
        "real, T(x)",
        "mixed, i",
        "mask M (white = real)",
        "saliency A / mean(A)",
    )
    ratio = mixed.saliency / mixed.saliency.mean((1, 2, 3), keepdim=True)
    scale = saliency_scale(float(ratio[indices].max()))
    for row, i in enumerate(indices):
        for axis, part in zip(axes[row], (mixed.fake, mixed.real, composed), strict=False):
            _picture(axis, part[i])
        _picture(axes[row, 3], mixed.mask[i, 0], cmap="gray", vmin=0, vmax=1)
        real, shift = float(mixed.lambda_0[i]), float(mixed.lam[i] - mixed.lambda_0[i])
        label = f"{real:.3f} $\\to$ {float(mixed.lam[i]):.3f}  ({shift:+.3f})"
        axes[row, 3].text(
            0.5, -0.12, label, ha="center", fontsize=10, transform=axes[row, 3].transAxes
        )
        shown = axes[row, 4].imshow(ratio[i, 0], cmap="cividis", norm=scale)
        axes[row, 4].contour(mixed.mask[i, 0], levels=[0.5], colors="white", linewidths=1)
        axes[row, 4].set_axis_off()
        figure.colorbar(shown, ax=axes[row, 4], shrink=0.85)
    for axis, head in zip(axes[0], heads, strict=True):
        axis.set_title(head, fontsize=10)
    for axis, name in zip(axes[:, 0], names, strict=False):
        axis.text(
            -0.06,
            0.5,
            name,
            ha="right",
            va="center",
            rotation=90,
            fontsize=10,
            transform=axis.transAxes,
        )
    figure.suptitle(title)
    return figure


def shifts_by_area(labels: dict[str, Labels], chances: dict[str, float], title: str = "") -> Figure:
    """For each reading of the map: how far labels move at each area, with the paper's three
    examples among them.

    `labels` (figure7.label_shifts) and `chances` (figure7.chance_of_the_papers_shifts) by reading.
    Light: 5 to 95 % of the masks of an area, dark: the middle half.
    """
    figure, axes = _figure(1, len(labels), 5.2 * len(labels), 3.9, sharey=True)
    levels = torch.tensor([0.05, 0.25, 0.75, 0.95])
    edges = torch.linspace(0, 1, 21)
    for axis, (name, found) in zip(axes[0], labels.items(), strict=True):
        shift, bins = found.lam - found.lambda_0, torch.bucketize(found.lambda_0, edges)
        filled = [i for i in range(1, len(edges)) if (bins == i).sum() >= 20]
        middle = [float(edges[i - 1] + edges[i]) / 2 for i in filled]
        low, lower, upper, high = torch.stack([shift[bins == i].quantile(levels) for i in filled]).T
        axis.fill_between(
            middle, low, high, color=MIXED, alpha=0.25, lw=0, label="5-95 % of our masks"
        )
        axis.fill_between(middle, lower, upper, color=MIXED, alpha=0.55, lw=0, label="25-75 %")
        for (area, adjusted), marker in zip(EXAMPLES.values(), "osv", strict=True):
            axis.plot(area, adjusted - area, marker, color="black", ms=7, ls="none")
        axis.plot([], [], "o", color="black", ms=7, ls="none", label="the paper's three examples")
        axis.axhline(0, color="0.7", lw=0.8, zorder=0)
        axis.set(title=f"map: {name}\nchance of the paper's three: {chances[name]:.2g}")
        axis.set(xlabel="lambda_0, share of real pixels", xlim=(0, 1))
    axes[0, 0].set_ylabel("shift of the label, lambda - lambda_0")
    axes[0, 0].legend(fontsize=9, loc="upper left")
    figure.suptitle(title)
    return figure


def typical(mixed: Mixed, n: int = 3) -> list[int]:
    """Rows to show: among boxes with both parts visible, from the most negative over the middle to
    the most positive shift, so that Figure 7 shows the range and not the best.
    """
    shift = (mixed.lam - mixed.lambda_0).tolist()
    ordered = sorted(_visible(mixed), key=lambda i: shift[i])
    return [
        ordered[round(k)]
        for k in torch.linspace(0, len(ordered) - 1, min(n, len(ordered))).tolist()
    ]


def one_of_each(batches: list[Mixed]) -> Mixed:
    """One row of every batch, as one batch: among boxes with both parts visible, the one whose
    label moved by the median amount, so that nobody chose it. The images have one size and as many
    channels.
    """
    chosen = []
    for mixed in batches:
        moved = (mixed.lam - mixed.lambda_0).abs().tolist()
        ordered = sorted(_visible(mixed), key=lambda i: moved[i])
        chosen.append((mixed, ordered[len(ordered) // 2]))
    return Mixed(
        **{f.name: torch.stack([getattr(m, f.name)[i] for m, i in chosen]) for f in fields(Mixed)}
    )


def _visible(mixed: Mixed) -> list[int]:
    return [i for i, area in enumerate(mixed.lambda_0.tolist()) if 0.1 < area < 0.9] or list(
        range(len(mixed.lam))
    )


def shift_over_training(log: list[dict], phase_two: int, title: str = "") -> Figure:
    """Under Figure 7: the label's shift with the paper's examples, the attention's gamma, the
    entropy of A, and how wide the shift is at which entropy.
    """
    figure, axes = _figure(2, 2, 10.5, 6.4)
    shifts, gamma, entropy, together = axes.flat
    shift_band(shifts, log, paper=True)
    step = [line["step"] for line in log]
    for i, key in enumerate(k for k in log[-1] if k.startswith("gamma_")):
        size = key.removeprefix("gamma_")
        gamma.plot(
            step, [line[key] for line in log], color=COLOURS[i], label=f"attention at {size}x{size}"
        )
    gamma.axhline(0, color="0.85", lw=0.8, zorder=0)
    gamma.set(title="gamma: the attention's share", ylabel="gamma (starts at 0)")
    known = [line for line in log if "entropy" in line]
    entropy.plot(
        [line["step"] for line in known], [line["entropy"] for line in known], color=COLOURS[0]
    )
    entropy.set(title="Entropy of A's rows, last layer", ylabel="entropy / log N", ylim=(0, 1.02))
    entropy.axhline(1, color="0.7", lw=0.8, ls="--", label="uniform attention")
    _over_steps((shifts, gamma, entropy), phase_two)
    together.set(title="The shift, as the attention learns", ylabel="width of the shift, 5 to 95 %")
    together.set(xlabel="entropy / log N, 1 at the left: flat maps first", xlim=(1.02, 0))
    both = [
        (line["entropy"], line["shift"][-1] - line["shift"][0], line["step"])
        for line in known
        if "shift" in line
    ]
    if both:
        x, y, when = zip(*both, strict=True)
        figure.colorbar(
            together.scatter(x, y, c=when, s=16, cmap="cividis"), ax=together, label="training step"
        )
        together.set_ylim(0, None)
    else:
        _absent(together, "no AttnMix in this run")
    figure.suptitle(title)
    return figure
