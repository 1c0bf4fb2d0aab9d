"""Explore AttnMix: what becomes of the label of two images, a box and a map (Eq. 1-4)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
from torch import Tensor

from hagan_lite.attnmix import Labels, mixed_labels, to_image_size
from hagan_lite.datasets.loading import load_for
from hagan_lite.datasets.pixels import to_uint8
from hagan_lite.drawing.style import spread
from hagan_lite.lessons.pretrained import CHECKPOINTS
from hagan_lite.lessons.widgets.base import Explorer, colours, module, one_of
from hagan_lite.model import draw_z
from hagan_lite.runs.folder import experiment_of, load_generator

SHIPPED = CHECKPOINTS / "mni152"
SOURCES = ("output", "received", "uniform", "painted")
"""Where the map comes from: the generator's last attention layer in two readings, or not from it at
all.
"""


def box_mask(
    size: int, top: int, left: int, height: int, width: int, real_inside: bool = False
) -> Tensor:
    """Return M (1, 1, size, size): the box is fake (0), the rest real (1).

    With `real_inside` it is the other way round. The box is clipped at the border.
    """
    M = torch.ones(1, 1, size, size)
    M[..., max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = 0
    return 1 - M if real_inside else M


def shape_map(
    saliency: Tensor, source: str = "output", sharpness: float = 1.0, painted: Tensor | None = None
) -> Tensor:
    """Return the map A (1, h, w) that a reader asks for, summing to 1.

    G's own ("output" or "received") is taken to the power `sharpness`: 0 is uniform, above 1 is
    more peaked. "painted" is `painted` (h, w), at least 0; where nothing is painted, and for
    "uniform", every pixel counts alike.
    """
    if source in ("output", "received"):
        A = (saliency / saliency.max()) ** sharpness
    elif source == "painted" and painted is not None and painted.any():
        A = painted[None].float()
    else:
        A = torch.ones_like(saliency)
    return A / A.sum()


class AttnMixExplorer(Explorer):
    """Show the shipped generator's images, or those of another run with attention, to mix by hand.

    `box` is top, left, height and width in pixels. `labels` are the three shares that are shown,
    and `lambda_0`, `lambda_1` and `lam` are each of them.
    """

    _esm = module("attnmix")

    box = traitlets.List(traitlets.Int(), [0, 0, 1, 1], minlen=4, maxlen=4).tag(sync=True)
    real_inside = traitlets.Bool(False).tag(sync=True)
    source = traitlets.Enum(SOURCES, "output").tag(sync=True)
    sharpness = traitlets.Float(1.0, min=0).tag(sync=True)
    alpha = traitlets.Float(0.5, min=0, max=1).tag(sync=True)
    noise = traitlets.Int(help="number of the fake image").tag(sync=True)
    real = traitlets.Int(help="number of the real image").tag(sync=True)
    painted = traitlets.Bytes(help="the painted map, a byte for each of its cells").tag(
        sync=True,
        from_json=lambda value, _: bytes(value),  # the browser's arrives as a memoryview
    )

    _size = traitlets.Int().tag(sync=True)
    _channels = traitlets.Int().tag(sync=True)
    _side = traitlets.Int(help="cells a side of the map").tag(sync=True)
    _reals = traitlets.Bytes().tag(sync=True)
    _fakes = traitlets.Bytes().tag(sync=True)
    _maps = traitlets.Bytes(help="float32 (fakes, 2, side, side): output, received").tag(sync=True)
    _colours = traitlets.Bytes(colours()).tag(sync=True)

    def __init__(self, run: Path = SHIPPED, n: int = 24) -> None:
        """Show `n` fake images of a run, and as many real ones, evenly spread over its data.

        Raises ValueError for a run whose generator has no attention or needs real images, and for
        `n` below 1.
        """
        if n < 1:
            raise ValueError(f"n = {n}: an explorer shows at least one image")
        e = experiment_of(run)
        if not e.attention or e.skip == "instance":
            raise ValueError(f"{run}: its generator has no map of its own; choose another run")
        reals = spread(load_for(e).images, n)
        fakes, self._saliency = _fakes_and_maps(run, n)
        unit = e.size // 32
        super().__init__(
            box=[5 * unit, 10 * unit, 15 * unit, 12 * unit],
            noise=min(1, n - 1),
            real=len(reals) // 2,
            painted=bytes(self._saliency[0, 0].numel()),
            _size=e.size,
            _channels=e.channels,
            _side=self._saliency.shape[-1],
            _reals=reals.tobytes(),
            _fakes=fakes.tobytes(),
            _maps=self._saliency.numpy().tobytes(),
        )

    @traitlets.validate("noise")
    def _noise_is_there(self, proposal: dict[str, Any]) -> int:
        return one_of("noise", proposal["value"], len(self._saliency))

    @traitlets.validate("real")
    def _slice_is_there(self, proposal: dict[str, Any]) -> int:
        pixels = self._channels * self._size**2
        return one_of("real", proposal["value"], len(self._reals) // pixels)

    @traitlets.validate("painted")
    def _fits_the_map(self, proposal: dict[str, Any]) -> bytes:
        cells = self._side**2
        if len(proposal["value"]) != cells:
            wrong = f"painted has {len(proposal['value'])} bytes"
            raise traitlets.TraitError(f"{wrong}; the map has {cells} cells, a byte for each")
        return proposal["value"]

    @property
    def A(self) -> Tensor:
        """Return the map that is shown, (1, side, side), summing to 1."""
        reading = 1 if self.source == "received" else 0
        cells = np.frombuffer(self.painted, np.uint8).reshape(self._side, -1)
        painted = torch.from_numpy(cells.astype(np.float32))
        own = self._saliency[self.noise, reading][None]
        return shape_map(own, self.source, self.sharpness, painted)

    @property
    def labels(self) -> Labels:
        """Return the shares of "real" that are shown (Eq. 3-4)."""
        M = box_mask(self._size, *self.box, self.real_inside)
        return mixed_labels(M, to_image_size(self.A, self._size), self.alpha)

    @property
    def lambda_0(self) -> float:
        """Return the share of the area."""
        return self.labels.lambda_0.item()

    @property
    def lambda_1(self) -> float:
        """Return the share of the saliency."""
        return self.labels.lambda_1.item()

    @property
    def lam(self) -> float:
        """Return the label, Eq. 4."""
        return self.labels.lam.item()


@torch.inference_mode()
def _fakes_and_maps(run: Path, n: int) -> tuple[np.ndarray, Tensor]:
    """Return n fake images (n, C, H, W) uint8, and both readings of their maps (n, 2, h, w)."""
    e, G = experiment_of(run), load_generator(run, "cpu")
    z = torch.cat([draw_z(1, e, torch.Generator().manual_seed(i)) for i in range(n)])
    fakes, output = G.with_saliency(z, saliency="output")
    _, received = G.with_saliency(z, saliency="received")
    return to_uint8(fakes), torch.stack([output, received], 1).float().contiguous()
