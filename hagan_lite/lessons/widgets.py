"""Show the explorers: sliders around the functions of explorers.py.

`AttnMixExplorer()` in a cell shows itself.
"""

import asyncio
import io
from pathlib import Path

import ipywidgets as w
import numpy as np
import torch

from hagan_lite.attnmix import Labels
from hagan_lite.datasets.loading import load_for
from hagan_lite.datasets.pixels import to_tensor_range
from hagan_lite.drawing.training import training_curves
from hagan_lite.lessons import explorers
from hagan_lite.runs.folder import experiment_of, load_generator, read_log

BLUE, ORANGE = "#0173b2", "#de8f05"  # real and fake, as in every figure


def _slider(text: str, value: float, low: float, high: float, step: float = 1, **kw) -> w.Widget:
    kind = w.IntSlider if isinstance(step, int) and isinstance(value, int) else w.FloatSlider
    style = dict(description_width="110px")
    return kind(value=value, min=low, max=high, step=step, description=text, style=style, **kw)


def _under_heads(image: w.Image, *names: str) -> w.VBox:
    """Put headings over the tiles of a picture; both shrink with the page."""
    width = w.Layout(width="100%", max_width=f"{len(names) * 70 * explorers.ZOOM}px")
    cells = "".join(f"<div style='flex:1;text-align:center'>{name}</div>" for name in names)
    image.layout = width
    return w.VBox(
        [w.HTML(f"<div style='display:flex;width:100%'>{cells}</div>", layout=width), image]
    )


class AttnMixExplorer(w.VBox):
    """Show what becomes of the label of two images, a box and a map (Eq. 1-4).

    `labels` holds the numbers that are shown.
    """

    labels: Labels

    def __init__(self, root: Path = explorers.RUNS) -> None:
        self._runs = explorers.runs_with_attention(root)
        self.run = w.Dropdown(
            options=list(self._runs), description="networks", style=dict(description_width="110px")
        )
        self.real, self.fake = _slider("real image", 50, 0, 112), _slider("noise number", 1, 0, 99)
        self.top, self.left = (
            _slider("top of the box", 10, 0, 63),
            _slider("left of the box", 20, 0, 63),
        )
        self.height, self.width = _slider("its height", 30, 0, 64), _slider("its width", 24, 0, 64)
        self.inside = w.Checkbox(
            value=False, description="real inside the box, fake outside", indent=False
        )
        self.alpha = _slider("alpha (Eq. 4)", 0.5, 0.0, 0.5, 0.05)
        self.source = w.ToggleButtons(
            options=explorers.SOURCES,
            description="map A from",
            tooltips=[
                "how strong the attention's output is at each pixel",
                "how much each pixel is looked at",
                "every pixel alike: lambda is then lambda_0",
                "draw one on the board",
            ],
            style=dict(description_width="110px", button_width="80px"),
        )
        self.sharpness = _slider("sharpness of A", 1.0, 0.0, 4.0, 0.25)
        small = w.Layout(width="22px", height="22px", margin="1px", padding="0")
        self.board = [
            w.ToggleButton(layout=small, tooltip="attend here") for _ in range(explorers.BOARD**2)
        ]
        grid = w.GridBox(
            self.board, layout=w.Layout(grid_template_columns=f"repeat({explorers.BOARD}, 24px)")
        )
        self._drawing = w.VBox([w.Label("Click cells: there G shall look."), grid])
        self.image, self.bars = w.Image(format="png"), w.HTML()
        controls = [self.top, self.left, self.height, self.width, self.inside]
        others = [self.real, self.fake, self.alpha, self.sharpness, self.source]
        for control in [*controls, *others, *self.board]:
            control.observe(self._update, "value")
        self.run.observe(self._open, "value")
        heads = ("fake, G(z)", "real, x", "mask, white = real", "mixed, i", "saliency A")
        columns = w.HBox([w.VBox([self.run, *others]), w.VBox(controls), self._drawing])
        super().__init__([columns, _under_heads(self.image, *heads), self.bars])
        self._open()

    def _open(self, _=None) -> None:
        run = self._runs[self.run.value]
        self._e = experiment_of(run)
        self._G = load_generator(run, "cpu")
        self._images = load_for(self._e).images
        self.real.max = len(self._images) - 1
        self._update()

    def _update(self, _=None) -> None:
        size, unit = self._e.size, self._e.size / 64  # the sliders count in 64ths of the side
        source = self.source.value
        reading = "received" if source == "received" else "output"
        fake, saliency = explorers.fake_and_map(self._G, self._e, self.fake.value, reading)
        real = torch.from_numpy(to_tensor_range(self._images[self.real.value][None]))
        places = (round(s.value * unit) for s in (self.top, self.left, self.height, self.width))
        M = explorers.box(size, *places, self.inside.value)
        drawn = np.reshape([cell.value for cell in self.board], (explorers.BOARD, -1)).astype(float)
        A = explorers.shape_map(saliency, source, self.sharpness.value, drawn)
        picture, self.labels = explorers.attnmix_view(real, fake, A, M, self.alpha.value)
        self.image.value, self.bars.value = explorers.png(picture), _bars(self.labels)
        self._drawing.layout.display = "" if source == "drawn" else "none"
        self.sharpness.disabled = source in ("uniform", "drawn")


def _bars(labels: Labels) -> str:
    """Return the three shares of "real" as HTML bars, with their numbers and the label's shift."""
    rows = ""
    for name, value in zip(
        ("λ₀, share of the area", "λ₁, share of the saliency", "λ, the label"), labels, strict=True
    ):
        bar = f"<div style='width:{100 * value.item():.1f}%;background:{BLUE};height:16px'></div>"
        bar = f"<div style='flex:0 1 520px;background:{ORANGE}55'>{bar}</div>"
        row = f"<div style='flex:0 0 180px'>{name}</div>{bar}{value.item():.3f}"
        rows += f"<div style='display:flex;gap:12px;align-items:center;height:24px'>{row}</div>"
    shift = (labels.lam - labels.lambda_0).item()
    words = f"Attention moves the label by <b>{shift:+.3f}</b>. Blue is real, orange is fake."
    return f"{rows}<div>{words}</div>"


class AttentionExplorer(w.VBox):
    """Show where a pixel looks, chosen by row and column.

    The picture is a row of the last attention layer's matrix.
    """

    def __init__(self, root: Path = explorers.RUNS) -> None:
        self._runs = explorers.runs_with_attention(root)
        self.run = w.Dropdown(
            options=list(self._runs), description="networks", style=dict(description_width="110px")
        )
        self.fake = _slider("noise number", 1, 0, 99)
        self.row, self.column = (
            _slider("query's row", 16, 0, 31),
            _slider("query's column", 12, 0, 31),
        )
        self.image, self.text = w.Image(format="png"), w.HTML()
        self.run.observe(self._draw, "value")
        self.fake.observe(self._draw, "value")
        for slider in (self.row, self.column):
            slider.observe(self._update, "value")
        picture = _under_heads(self.image, "the query's cell", "what it attends to")
        super().__init__([self.run, self.fake, self.row, self.column, picture, self.text])
        self._draw()

    def _draw(self, _=None) -> None:
        run = self._runs[self.run.value]
        e, G = experiment_of(run), load_generator(run, "cpu")
        z = explorers.draw_z(1, e, torch.Generator().manual_seed(self.fake.value))
        matrices = G.attention_matrices(z)
        self._image, self._side = G(z), max(matrices)
        self._A = matrices[self._side][0]
        self.row.max = self.column.max = self._side - 1
        self._update()

    def _update(self, _=None) -> None:
        mine = self._A[self.row.value * self._side + self.column.value]
        self.image.value = explorers.png(
            explorers.query_view(self._image, mine, self.row.value, self.column.value)
        )
        top = mine.topk(10).values.sum().item()
        self.text.value = (
            f"Its ten favourite pixels of {len(mine)} take {top:.0%} of its attention. "
            f"If attention were uniform, any ten would take {10 / len(mine):.0%}."
        )


class TrainingViewer(w.VBox):
    """Scrub through a run's sample grids, with losses, gates and shifts beside them.

    `follow` looks again every two seconds, for a run that another process trains.
    """

    def __init__(self, run: Path) -> None:
        self._run, self._task = Path(run), None
        self.step = w.SelectionSlider(options=[0], description="step", continuous_update=False)
        self.follow = w.ToggleButton(
            description="follow", tooltip="look for new steps every two seconds"
        )
        self.image, self.curves, self.table = w.Image(format="png"), w.Image(format="png"), w.HTML()
        self.step.observe(self._update, "value")
        self.follow.observe(self._watch, "value")
        rows = [w.HBox([self.step, self.follow]), w.HBox([self.image, self.table]), self.curves]
        super().__init__(rows)
        self.refresh()

    def refresh(self) -> None:
        """Look at the folder again and go to its newest step."""
        steps = explorers.moments(self._run)
        if not steps:
            self.table.value = (
                "No samples yet: they are drawn ten times in a run. "
                "Press 'follow', or come back later."
            )
        elif steps != list(self.step.options):
            self.step.options, self.step.value = steps, steps[-1]
            log = read_log(self._run)
            figure = training_curves(log, experiment_of(self._run).phase_two)
            out = io.BytesIO()
            figure.savefig(out, format="png")
            self.curves.value = out.getvalue()
            self._update()

    def _update(self, _=None) -> None:
        self.image.value, line = explorers.moment(self._run, self.step.value)
        cells = ""
        for name, value in line.items():
            numbers = value if isinstance(value, list) else [value]
            text = "  ".join(f"{number:.3g}" for number in numbers)
            cells += f"<tr><td>{name}</td><td style='text-align:right'>{text}</td></tr>"
        self.table.value = (
            f"<table style='font-size:11px;line-height:1.2;margin-left:16px'>{cells}</table>"
        )

    def _watch(self, change: dict) -> None:
        async def look() -> None:
            while self.follow.value:
                self.refresh()
                await asyncio.sleep(2)

        if change["new"]:
            self._task = asyncio.ensure_future(look())
