"""Random weights in the shape of torch-fidelity's Inception: no test needs the real ones."""

import functools

import torch

from hagan_lite.evaluation import inception


@functools.cache
def whole() -> dict[str, torch.Tensor]:
    """Return all weights, so large that images still differ behind fifty layers."""
    rng = torch.Generator().manual_seed(0)
    made = {}
    for key, like in inception._without_weights("2048").state_dict().items():
        if key.endswith("conv.weight") or key == "fc.weight":
            made[key] = torch.randn(like.shape, generator=rng) * (2 / like[0].numel()) ** 0.5
        elif key.endswith("num_batches_tracked"):
            made[key] = torch.tensor(0)
        else:
            made[key] = torch.full(like.shape, float(key.endswith(("bn.weight", "running_var"))))
    return made


def trunk_of(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights as far as the 768 features."""
    return {
        key: value
        for key, value in state.items()
        if key.partition(".")[0] not in inception.BEHIND_TRUNK
    }
