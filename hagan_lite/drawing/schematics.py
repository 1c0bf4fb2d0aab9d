"""Draw what flows where: in a GAN, in HAGAN and in its reverse skip connection.

A network or a computation is a grey box; what flows is a white one, framed in the colour of its
kind. The paper's own drawings are its Figures 2 and 4.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from hagan_lite.drawing.style import FAKE, MIXED, REAL, new_figure

Kind = Literal["network", "real", "fake", "mixed", "other"]
FRAMES = {"real": REAL, "fake": FAKE, "mixed": MIXED, "other": "0.45", "network": "black"}


@dataclass(frozen=True)
class Box:
    """Hold a box: its centre and its size in inches, what stands in it, and what kind it is."""

    x: float
    y: float
    text: str
    kind: Kind = "other"
    width: float = 1.35
    height: float = 0.62


@dataclass(frozen=True)
class Arrow:
    """Hold an arrow from one box to another, by their names, and the text that stands above it.

    It runs straight; or, with `at`, vertically to that height, level, and vertically again.
    `leaves` and `enters` then say how far from the centres of its boxes, in inches.
    """

    start: str
    end: str
    text: str = ""
    dashed: bool = False
    at: float | None = None
    leaves: float = 0.0
    enters: float = 0.0


def schematic(boxes: dict[str, Box], arrows: list[Arrow]) -> Figure:
    """Draw boxes by their names, and arrows between them, on a figure that just holds them."""
    heights = [arrow.at for arrow in arrows if arrow.at is not None]
    left = min(box.x - box.width / 2 for box in boxes.values()) - 0.1
    right = max(box.x + box.width / 2 for box in boxes.values()) + 0.1
    bottom = min(heights + [box.y - box.height / 2 for box in boxes.values()]) - 0.1
    top = max([h + 0.2 for h in heights] + [box.y + box.height / 2 for box in boxes.values()]) + 0.1
    figure, axes = new_figure(1, 1, right - left, top - bottom)
    axis = axes[0, 0]
    axis.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axis.set_axis_off()
    patches = {name: _draw_box(axis, box) for name, box in boxes.items()}
    for arrow in arrows:
        start, end = boxes[arrow.start], boxes[arrow.end]
        how = dict(arrowstyle="-|>", mutation_scale=14, linewidth=1.3, color="black")
        how |= dict(linestyle="--" if arrow.dashed else "-")
        if arrow.at is None:
            between = dict(patchA=patches[arrow.start], patchB=patches[arrow.end])
            how |= between | dict(posA=(start.x, start.y), posB=(end.x, end.y), shrinkB=3)
            above = ((start.x + end.x) / 2, (start.y + end.y) / 2 + 0.05)
        else:
            corners = _corners(start.x + arrow.leaves, start, arrow.at, end, end.x + arrow.enters)
            how |= dict(path=Path(corners))
            above = ((corners[1][0] + corners[2][0]) / 2, arrow.at + 0.05)
        axis.add_patch(FancyArrowPatch(**how))
        axis.text(*above, arrow.text, ha="center", va="bottom", fontsize=11)
    return figure


def _draw_box(axis: Axes, box: Box) -> FancyBboxPatch:
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    network = box.kind == "network"
    patch = FancyBboxPatch(
        corner,
        box.width,
        box.height,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor="0.87" if network else "white",
        edgecolor=FRAMES[box.kind],
        linewidth=1.0 if network else 2.2,
    )
    axis.add_patch(patch)
    axis.text(box.x, box.y, box.text, ha="center", va="center", fontsize=11)
    return patch


def _corners(
    start_x: float, start: Box, at: float, end: Box, end_x: float
) -> list[tuple[float, float]]:
    """Return where an arrow leaves a box, turns twice at height `at`, and reaches the other."""

    def edge(box: Box) -> float:
        return box.y + (box.height / 2 if at > box.y else -box.height / 2)

    return [(start_x, edge(start)), (start_x, at), (end_x, at), (end_x, edge(end))]


def gan() -> Figure:
    """Draw a GAN: noise becomes a fake, D scores it and real images, a gradient comes back."""
    boxes = {
        "z": Box(0.9, 1.8, "noise $z$"),
        "G": Box(2.9, 1.8, "generator $G$", "network"),
        "fake": Box(4.9, 1.8, "fake $G(z)$", "fake"),
        "real": Box(4.9, 0.8, "real $x$", "real"),
        "D": Box(7.2, 1.8, "discriminator $D$", "network", width=1.7),
        "score": Box(9.4, 1.8, "score $s$:\nhow real?"),
    }
    back = "the gradient: all that $G$ learns of real data"
    arrows = [
        Arrow("z", "G"),
        Arrow("G", "fake"),
        Arrow("fake", "D"),
        Arrow("real", "D"),
        Arrow("D", "score"),
        Arrow("D", "G", back, dashed=True, at=2.5),
    ]
    return schematic(boxes, arrows)


def reverse_skip(channels: list[int]) -> Figure:
    """Draw D's levels on the way down a real image, G's on the way up, and the gates between.

    `channels` are those of the levels that are joined, from 4x4 on: each next level has maps of
    twice the side.
    """
    left, right, top = 1.4, 6.2, len(channels) + 1
    boxes = {
        "real": Box(left, top, "real $x$", "real"),
        "fake": Box(right, top, "fake $G(z)$", "fake"),
        "score": Box(left, 0, "score"),
        "z": Box(right, 0, "noise $z$"),
    }
    arrows = []
    for level, count in enumerate(channels):
        side = 4 * 2**level
        for network, x in (("D", left), ("G", right)):
            text = f"${network}$: {count} maps, {side} x {side}"
            boxes[f"{network}{level}"] = Box(x, level + 1, text, "network", width=2.5)
        gated = f"$g_{level}\\, S_{level}$"
        arrows.append(Arrow(f"D{level}", f"G{level}", gated, dashed=True))
    down = ["real", *(f"D{level}" for level in reversed(range(len(channels)))), "score"]
    up = ["z", *(f"G{level}" for level in range(len(channels))), "fake"]
    arrows += [Arrow(*pair) for way in (down, up) for pair in pairwise(way)]
    return schematic(boxes, arrows)


def hagan() -> Figure:
    """Draw a step of HAGAN in phase two, when T and AttnMix are used; the numbers are lessons."""
    boxes = {
        "z": Box(0.65, 3.0, "noise $z$", width=1.1),
        "G": Box(2.3, 3.0, "generator $G$\n03", "network"),
        "A": Box(4.2, 4.2, "$G$'s attention\nmap $A$", "fake"),
        "fake": Box(4.2, 3.0, "fake $G(z)$", "fake"),
        "real": Box(4.2, 2.0, "real $x$", "real"),
        "T": Box(5.85, 2.5, "$T$\n05", "network", width=0.7, height=1.62),
        "mix": Box(7.2, 2.5, "AttnMix\n06", "network", width=1.0),
        "i": Box(8.75, 2.5, "mixed $i$", "mixed", width=1.1),
        "label": Box(8.75, 4.2, "its label $\\lambda$:\nhow real?", "mixed"),
        "D": Box(10.5, 2.5, "discrimi-\nnator $D$\n04", "network", width=1.2, height=0.9),
        "scores": Box(12.4, 2.5, "scores: of each\nimage, of\nevery pixel", width=1.5, height=0.9),
        "losses": Box(12.4, 4.2, "losses\n08", "network"),
    }
    skip = "reverse skip: means of $D$'s features of real images   (07)"
    arrows = [
        Arrow("z", "G"),
        Arrow("G", "fake"),
        Arrow("G", "A"),
        Arrow("fake", "T"),
        Arrow("real", "T"),
        Arrow("T", "mix"),
        Arrow("mix", "i"),
        Arrow("A", "label", "moved as $T$ moves $G(z)$"),
        Arrow("mix", "label"),
        Arrow("i", "D"),
        Arrow("D", "scores"),
        Arrow("label", "losses"),
        Arrow("scores", "losses"),
        Arrow("T", "D", "both are judged unmixed, too", at=1.3, enters=-0.3),
        Arrow("D", "G", skip, dashed=True, at=0.7, leaves=0.3),
    ]
    return schematic(boxes, arrows)
