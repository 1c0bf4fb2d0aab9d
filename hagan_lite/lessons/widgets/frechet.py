"""Explore the Fréchet distance: two clouds to drag and stretch, and what few points do to it."""

import math
from typing import Any

import torch
import traitlets
from torch import Tensor

from hagan_lite.evaluation.metrics import frechet_distance
from hagan_lite.lessons.widgets.base import Explorer, module

Cloud = dict[str, float]
"""x, y: the middle; a, b: the spreads along two axes; angle: that of the first axis, in radians."""


def four_points(cloud: Cloud) -> Tensor:
    """Return four points (4, 2) that have just the mean and the covariance of a cloud."""
    c, s = math.cos(cloud["angle"]), math.sin(cloud["angle"])
    axes = torch.tensor([[c, s], [-s, c]], dtype=torch.float64)
    ends = axes * torch.tensor([[cloud["a"]], [cloud["b"]]], dtype=torch.float64) * math.sqrt(1.5)
    return torch.tensor([cloud["x"], cloud["y"]]) + torch.cat([ends, -ends])


class FrechetExplorer(Explorer):
    """Show the distance of the clouds `real` and `fake`, and how it is measured with `n` points.

    `distance` is that of the two Gaussians: what a measurement with endless points would give.
    """

    _esm = module("frechet")

    real = traitlets.Dict(dict(x=-0.8, y=0.0, a=1.0, b=0.6, angle=0.4)).tag(sync=True)
    fake = traitlets.Dict(dict(x=0.8, y=0.3, a=0.7, b=0.7, angle=0.0)).tag(sync=True)
    n = traitlets.Int(20, min=2, max=400).tag(sync=True)
    grabbed = traitlets.Enum(("real", "fake"), "fake").tag(sync=True)

    @traitlets.validate("real", "fake")
    def _is_a_cloud(self, proposal: dict[str, Any]) -> Cloud:
        cloud = proposal["value"]
        if cloud.keys() != {"x", "y", "a", "b", "angle"}:
            raise traitlets.TraitError(f"a cloud has x, y, a, b and angle, and not {list(cloud)}")
        if not all(map(math.isfinite, cloud.values())) or min(cloud["a"], cloud["b"]) <= 0:
            raise traitlets.TraitError(f"spreads are above 0, and all is finite: {cloud}")
        return cloud

    @property
    def distance(self) -> float:
        """Return the Fréchet distance of the two Gaussians."""
        return frechet_distance(four_points(self.real), four_points(self.fake))
