"""Walk through the latent space: drag through the images between four noise vectors."""

from pathlib import Path
from typing import Any

import torch
import traitlets
from torch import Tensor

from hagan_lite.datasets.pixels import to_uint8
from hagan_lite.lessons.widgets.attnmix import SHIPPED
from hagan_lite.lessons.widgets.base import Explorer, module
from hagan_lite.model import draw_z, model_of
from hagan_lite.runs.folder import experiment_of, load_generator


class LatentWalk(Explorer):
    """Show G(z) at any place of a square whose corners are four noise vectors.

    `place` is how far to the right and how far down, each from 0 to 1; `z` is the noise vector
    there. The images lie on a grid, and the nearest is shown.
    """

    _esm = module("walk")

    place = traitlets.List(traitlets.Float(), [0.5, 0.5], minlen=2, maxlen=2).tag(sync=True)

    _size = traitlets.Int().tag(sync=True)
    _channels = traitlets.Int().tag(sync=True)
    _n = traitlets.Int(help="images a side of the grid").tag(sync=True)
    _grid = traitlets.Bytes(help="uint8 (n * n, C, H, W), row by row").tag(sync=True)

    def __init__(
        self, run: Path = SHIPPED, seeds: tuple[int, int, int, int] = (24, 2, 17, 35), n: int = 13
    ) -> None:
        """Walk between the noise vectors of four `seeds`, over n x n images of a run.

        Raises ValueError for a run whose images are made of more than z, and for `n` below 2.
        """
        if n < 2:
            raise ValueError(f"n = {n}: a grid has at least two images a side")
        e, G = experiment_of(run), load_generator(run, "cpu")
        if e.skip == "instance" or len(model_of(e).inputs(e, torch.Generator())) > 1:
            raise ValueError(f"{run}: its images are made of more than z; choose another run")
        draws = [draw_z(1, e, torch.Generator().manual_seed(seed)) for seed in seeds]
        self._corners = torch.cat(draws)
        steps = torch.linspace(0, 1, n)
        z = torch.stack([_between(self._corners, u, v) for v in steps for u in steps])
        with torch.inference_mode():
            images = torch.cat([G(part) for part in z.split(64)])
        super().__init__(_size=e.size, _channels=e.channels, _n=n, _grid=to_uint8(images).tobytes())

    @traitlets.validate("place")
    def _is_on_the_pad(self, proposal: dict[str, Any]) -> list[float]:
        if not all(0 <= share <= 1 for share in proposal["value"]):
            raise traitlets.TraitError(f"place is two shares from 0 to 1: {proposal['value']}")
        return proposal["value"]

    @property
    def z(self) -> Tensor:
        """Return the noise vector at `place`, (z_dim,)."""
        return _between(self._corners, *self.place)


def corner_weights(u: float, v: float) -> Tensor:
    """Return the shares (4,) of the corners at a place: top left, top right, then below."""
    return torch.tensor([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v])


def _between(corners: Tensor, u: float, v: float) -> Tensor:
    return corner_weights(float(u), float(v)) @ corners
