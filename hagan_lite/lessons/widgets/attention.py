"""Explore attention: point at a pixel of a generated image, and its row of A appears."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
from torch import Tensor, nn

from hagan_lite.datasets.pixels import to_uint8
from hagan_lite.generator import Generator
from hagan_lite.lessons.widgets.attnmix import SHIPPED
from hagan_lite.lessons.widgets.base import Explorer, colours, module, one_of
from hagan_lite.model import draw_z
from hagan_lite.runs.folder import experiment_of, load_generator


class AttentionExplorer(Explorer):
    """Show where pixels of G(z) look, in both attention layers of the shipped or another generator.

    `query` is the row and the column of a pixel at the side of `layer`; `A_row` is its row of A.
    With `gamma` False the image is drawn with both layers off.
    """

    _esm = module("attention")

    query = traitlets.List(traitlets.Int(), [0, 0], minlen=2, maxlen=2).tag(sync=True)
    layer = traitlets.Enum((16, 32), 32).tag(sync=True)
    noise = traitlets.Int().tag(sync=True)
    gamma = traitlets.Bool(True).tag(sync=True)

    _size = traitlets.Int().tag(sync=True)
    _channels = traitlets.Int().tag(sync=True)
    _widths = traitlets.Dict(help="channels of q and k, by the side of the layer").tag(sync=True)
    _gammas = traitlets.Dict().tag(sync=True)
    _images = traitlets.Bytes(help="uint8 (n, 2, C, H, W): gamma on, gamma off").tag(sync=True)
    _qk_16 = traitlets.Bytes(help="float32 (n, 2, 256, d): q, k").tag(sync=True)
    _qk_32 = traitlets.Bytes(help="float32 (n, 2, 1024, d): q, k").tag(sync=True)
    _colours = traitlets.Bytes(colours()).tag(sync=True)

    def __init__(self, run: Path = SHIPPED, n: int = 8) -> None:
        """Show `n` images of a run.

        Raises ValueError for a run whose generator has not both attention layers or needs real
        images, and for `n` below 1.
        """
        if n < 1:
            raise ValueError(f"n = {n}: an explorer shows at least one image")
        e, G = experiment_of(run), load_generator(run, "cpu")
        if e.skip == "instance" or not e.attention or len(G.attention) < 2:
            raise ValueError(f"{run}: two attention layers are needed, and no real images")
        z = torch.cat([draw_z(1, e, torch.Generator().manual_seed(i)) for i in range(n)])
        self._qk = _queries_and_keys(G, z)
        by_side = dict(zip(self._qk, G.attention.values(), strict=True))
        gammas = {str(side): layer.gamma.item() for side, layer in by_side.items()}
        widths = {str(side): qk.shape[-1] for side, qk in self._qk.items()}
        super().__init__(
            query=[16, 12],
            noise=min(1, n - 1),
            _size=e.size,
            _channels=e.channels,
            _widths=widths,
            _gammas=gammas,
            _images=_on_and_off(G, z).tobytes(),
            _qk_16=self._qk[16].numpy().tobytes(),
            _qk_32=self._qk[32].numpy().tobytes(),
        )

    @traitlets.validate("query")
    def _is_on_the_layer(self, proposal: dict[str, Any]) -> list[int]:
        row, column = proposal["value"]
        return [one_of("row", row, self.layer), one_of("column", column, self.layer)]

    @traitlets.validate("noise")
    def _noise_is_there(self, proposal: dict[str, Any]) -> int:
        return one_of("noise", proposal["value"], len(self._qk[self.layer]))

    @traitlets.observe("layer")
    def _stay_on_the_image(self, change: dict[str, Any]) -> None:
        """Move a query that a smaller layer lacks; a browser has moved it by itself."""
        if max(self.query) >= self.layer:
            self.query = [i * change["new"] // change["old"] for i in self.query]

    @property
    def A_row(self) -> Tensor:
        """Return the row of A that is shown, (N,), summing to 1."""
        q, k = self._qk[self.layer][self.noise]
        row, column = self.query
        return (q[row * self.layer + column] @ k.T).softmax(0)


@torch.inference_mode()
def _queries_and_keys(G: Generator, z: Tensor) -> dict[int, Tensor]:
    """Return q and k of each attention layer by its side, (n, 2, N, d) float32."""
    seen: dict[int, Tensor] = {}

    def look(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        x = inputs[0]
        pair = [conv(x).flatten(2).transpose(1, 2) for conv in (layer.query, layer.key)]
        seen[x.shape[-1]] = torch.stack(pair, 1).float().contiguous()

    hooks = [layer.register_forward_pre_hook(look) for layer in G.attention.values()]
    G(z)
    for hook in hooks:
        hook.remove()
    return seen


@torch.inference_mode()
def _on_and_off(G: Generator, z: Tensor) -> np.ndarray:
    """Return images with attention and without it, (n, 2, C, H, W) uint8."""
    on = to_uint8(G(z))
    for layer in G.attention.values():
        layer.gamma.zero_()
    return np.stack([on, to_uint8(G(z))], 1)
