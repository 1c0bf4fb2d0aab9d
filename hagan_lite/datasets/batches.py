"""Say which images each step of a training takes: a stream of shuffled epochs, cut into batches."""

import functools

import torch


def batch_indices(n: int, batch: int, seed: int, t: int) -> torch.Tensor:
    """Return which images step t trains on: (batch,) indices into n images.

    They are the stream of all epochs' permutations, cut into batches: every image comes equally
    often, also where n is no multiple of the batch or smaller than it. The stream depends on seed
    and t alone, so a resumed run needs no state for it.
    """
    positions = range(t * batch, (t + 1) * batch)
    return torch.tensor([_permutation(n, seed, p // n)[p % n] for p in positions])


@functools.lru_cache(maxsize=8)
def _permutation(n: int, seed: int, epoch: int) -> list[int]:
    rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=rng).tolist()
