"""Compute what the explorers of widgets.py show, in milliseconds.

The functions are plain: numbers in, a picture and labels out.
"""

import io
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hagan_lite.attnmix import Labels, mix, mixed_labels, to_image_size
from hagan_lite.config import Experiment
from hagan_lite.datasets.pixels import to_uint8
from hagan_lite.drawing.style import saliency_scale
from hagan_lite.generator import Generator
from hagan_lite.lessons.pretrained import CHECKPOINTS
from hagan_lite.model import draw_z
from hagan_lite.runs.folder import experiment_of, finished, read_log
from hagan_lite.system.paths import RUNS

SOURCES = ("output", "received", "uniform", "drawn")
"""Where the explorer's map comes from: the generator's last attention layer in two readings, or not
from it at all.
"""
BOARD = 8  # cells a side of the board on which a map is drawn
ZOOM = 3


class Pair(NamedTuple):
    """Hold one fake image with the generator's map of it.

    The image is (1, C, H, W) in [-1, 1]; A is (1, h, w), at least 0.
    """

    fake: Tensor
    saliency: Tensor


def runs_with_attention(root: Path = RUNS) -> dict[str, Path]:
    """Return the networks that explorers can open, by label.

    They are the shipped ones, then finished runs whose G has attention.
    """
    shipped = [path for path in sorted(CHECKPOINTS.glob("*")) if finished(path)]
    runs = {f"{path.name} (shipped)": path for path in shipped}
    for path in sorted(Path(root).glob("*/generator.safetensors")):
        e = experiment_of(path.parent)
        if e.attention and e.skip != "instance":
            runs[path.parent.name] = path.parent
    return runs


@torch.inference_mode()
def fake_and_map(G: Generator, e: Experiment, seed: int, saliency: str = "output") -> Pair:
    """Return the fake image of noise number `seed`, and the map of G's last attention layer.

    The map is read as `saliency`.
    """
    z = draw_z(1, e, torch.Generator().manual_seed(seed)).to(G.to_image[0].weight.device)
    fake, A = G.with_saliency(z, saliency=saliency)
    return Pair(fake.float().cpu(), A.float().cpu())


def box(
    size: int, top: int, left: int, height: int, width: int, real_inside: bool = False
) -> Tensor:
    """Return M (1, 1, size, size): the box is fake (0), the rest real (1).

    With `real_inside` it is the other way round. The box is clipped at the border.
    """
    M = torch.ones(1, 1, size, size)
    M[..., max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)] = 0
    return 1 - M if real_inside else M


def shape_map(
    saliency: Tensor, source: str = "output", sharpness: float = 1.0, drawn=None
) -> Tensor:
    """Return the map A (1, h, w) that a reader asks for, summing to 1.

    G's own ("output" or "received"), "uniform", or "drawn": a board (BOARD, BOARD) of 0..1, of
    which an empty one is uniform. G's own is taken to the power `sharpness`: 0 is uniform, above 1
    is more peaked.
    """
    if source == "uniform" or (source == "drawn" and not np.any(drawn)):
        A = torch.ones_like(saliency)
    elif source == "drawn":
        A = torch.as_tensor(drawn, dtype=torch.float32)[None]
    else:
        A = (saliency / saliency.max()) ** sharpness
    return A / A.sum()


class View(NamedTuple):
    """Hold one state of the AttnMix explorer.

    `picture` (H, W, 3) uint8 shows fake, real, mask, mixed, and saliency over fake.
    """

    picture: np.ndarray
    labels: Labels


def attnmix_view(real: Tensor, fake: Tensor, A: Tensor, M: Tensor, alpha: float = 0.5) -> View:
    """Apply Eq. 1-4 to one pair of images (1, C, H, W) in [-1, 1].

    A is (1, h, w), M (1, 1, H, W).
    """
    size = real.shape[-1]
    at_size = to_image_size(A, size)
    border = _border(M[0, 0].numpy())
    tiles = [
        _grey(fake),
        _grey(real),
        _grey(M * 2 - 1),
        _grey(mix(real, fake, M)),
        _overlay(fake, at_size),
    ]
    tiles[-1] = np.where(border[..., None], (255, 255, 255), tiles[-1]).astype(np.uint8)
    return View(_strip(tiles), mixed_labels(M, at_size, alpha))


def query_view(fake: Tensor, row_of_A: Tensor, row: int, column: int) -> np.ndarray:
    """Return the fake image with the query's cell marked, beside its row of A over the image.

    The row is (N,), the result (H, W, 3) uint8.
    """
    side = round(row_of_A.numel() ** 0.5)
    cells = torch.zeros(1, 1, side, side)
    cells[..., row, column] = 1
    size = fake.shape[-1]
    cell = torch.nn.functional.interpolate(cells, size=(size, size))[0, 0].numpy()
    cell = np.pad(cell, 1)
    around = (_border(cell) | _border(1 - cell))[1:-1, 1:-1]
    row_at_size = to_image_size(row_of_A.view(1, side, side), size)
    tiles = []
    for tile in (_grey(fake), _overlay(fake, row_at_size)):
        marked = np.where(around[..., None], (255, 160, 0), tile)
        tiles.append(marked.astype(np.uint8))
    return _strip(tiles)


def png(picture: np.ndarray) -> bytes:
    """Return a picture (H, W, 3) uint8, enlarged, as the bytes of a PNG."""
    out = io.BytesIO()
    Image.fromarray(picture.repeat(ZOOM, 0).repeat(ZOOM, 1)).save(out, "png", compress_level=1)
    return out.getvalue()


def moments(run: Path) -> list[int]:
    """Return the steps of a run folder at which a grid of samples was drawn so far."""
    paths = (Path(run) / "samples").glob("step_*.png")
    return sorted(int(path.stem.split("_")[1]) for path in paths)


def moment(run: Path, step: int) -> tuple[bytes, dict]:
    """Return the sample grid at `step`, a PNG, and the log's last line up to then."""
    lines = [line for line in read_log(run) if line["step"] <= step]
    grid = (Path(run) / "samples" / f"step_{step:06d}.png").read_bytes()
    return grid, lines[-1] if lines else {}


def _grey(image: Tensor) -> np.ndarray:
    """(1, C, H, W) in [-1, 1] -> (H, W, 3) uint8."""
    array = to_uint8(image[0])
    return array.repeat(3 // len(array), 0).transpose(1, 2, 0)


def _overlay(image: Tensor, A: Tensor) -> np.ndarray:
    """Return A (1, 1, H, W) in cividis over the grey image, on the scale of saliency_scale."""
    ratio = (A / A.mean())[0, 0].numpy()
    scale = saliency_scale(float(ratio.max()))
    colours = matplotlib.colormaps["cividis"](scale(ratio))[..., :3] * 255
    return (0.35 * _grey(image) + 0.65 * colours).astype(np.uint8)


def _border(mask: np.ndarray) -> np.ndarray:
    """Return an array that is True where a pixel of the 0-part touches the 1-part."""
    inside, padded = mask < 0.5, np.pad(mask > 0.5, 1)
    return inside & (padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:])


def _strip(tiles: list[np.ndarray], gap: int = 4) -> np.ndarray:
    """Return tiles (H, W, 3) uint8 in a row, each in a grey frame, for white on white."""
    white = np.full((len(tiles[0]) + 2, gap, 3), 255, np.uint8)
    parts = []
    for tile in tiles:
        framed = np.pad(tile, ((1, 1), (1, 1), (0, 0)), constant_values=128)
        parts += [framed, white]
    return np.concatenate(parts[:-1], axis=1)
