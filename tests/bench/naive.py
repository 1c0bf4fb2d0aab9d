"""Make the step without one of its measures: the same numbers, slower.

Each function takes a Hagan and returns such a step. `test_bench.py` checks that it computes the
same; `measure.py` times both.
"""

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

import torch
from torch import Tensor

from hagan_lite import attnmix, augment, hagan, losses
from hagan_lite.generator import SelfAttention
from hagan_lite.hagan import Hagan
from hagan_lite.model import Logs

Step = Callable[[Tensor, int], Logs]


def patched(model: Hagan, *patches: tuple) -> Step:
    """Return model.step under mock.patch.object(*p) for each p."""

    def step(x: Tensor, t: int) -> Logs:
        with contextlib.ExitStack() as stack:
            for patch in patches:
                stack.enter_context(mock.patch.object(*patch))
            return model.step(x, t)

    return step


@contextlib.contextmanager
def naive_attention() -> Iterator[None]:
    """Make every attention layer compute its N x N matrix, as the equation is written."""
    with mock.patch.object(SelfAttention, "output", _output):
        yield


def materialised_attention(model: Hagan) -> Step:
    """Return a step in which attention layers compute their N x N matrices."""

    def step(x: Tensor, t: int) -> Logs:
        with naive_attention():
            return model.step(x, t)

    return step


def contiguous_layout(model: Hagan) -> Step:
    """Return a step with NCHW weights and activations; the model is changed for good."""
    for net in (model.G, model.D, model.ema):
        net.to(memory_format=torch.contiguous_format)
    return model.step


def passes_made_twice(model: Hagan) -> Step:
    """Return a step in which D sees real, fake and mixed images one after the other.

    It sees real and fake ones once more for Eq. 5's target.
    """
    seen: dict = {}

    def judge(D, *batches):
        seen["target"] = [D(batch) for batch in batches[:2]] if len(batches) == 3 else None
        return [D(batch) for batch in batches]

    def image_consistency(mixed, real, fake, lam):
        return image(mixed, *seen["target"], lam)

    def pixel_consistency(mixed, real, fake, M):
        return pixel(mixed, *seen["target"], M)

    image, pixel = losses.image_consistency, losses.pixel_consistency
    return patched(
        model,
        (hagan, "judge", judge),
        (losses, "image_consistency", image_consistency),
        (losses, "pixel_consistency", pixel_consistency),
    )


def python_loops(model: Hagan) -> Step:
    """Return a step that draws T and the masks one image at a time."""
    T, move, masks = augment.Augmentation.__call__, augment.Augmentation.move, attnmix.box_masks

    def parts(drawn: augment.Augmentation, n: int) -> list[augment.Augmentation]:
        fields = [drawn.shift, drawn.brightness, drawn.contrast]
        return [
            augment.Augmentation(*(f if f is None else f[i : i + 1] for f in fields))
            for i in range(n)
        ]

    def call(self, x):
        with mock.patch.object(augment.Augmentation, "move", move):
            return torch.cat([T(part, x[i : i + 1]) for i, part in enumerate(parts(self, len(x)))])

    def move_each(self, x, fill=0.0):
        return torch.cat(
            [move(part, x[i : i + 1], fill) for i, part in enumerate(parts(self, len(x)))]
        )

    def mask_each(n, size, rng):
        return torch.cat([masks(1, size, rng) for _ in range(n)])

    return patched(
        model,
        (augment.Augmentation, "__call__", call),
        (augment.Augmentation, "move", move_each),
        (attnmix, "box_masks", mask_each),
    )


def scalars_read_every_step(model: Hagan) -> Step:
    """Return a step with .item() of every logged value: on a GPU, a wait for the device each."""

    def step(x: Tensor, t: int) -> Logs:
        logs = model.step(x, t)
        for value in logs.values():
            value.float().mean().item()
        return logs

    return step


MEASURES: dict[str, Callable[[Hagan], Step]] = {
    "fused attention": materialised_attention,
    "channels_last": contiguous_layout,
    "no pass twice": passes_made_twice,
    "batched T and masks": python_loops,
    "no .item() in the step": scalars_read_every_step,
}
"""Each measure, and the step without it."""


def _output(self: SelfAttention, x: Tensor) -> Tensor:
    q, k, v = (conv(x).flatten(2) for conv in (self.query, self.key, self.value))  # (B, C, N)
    A = (q.transpose(1, 2) @ k).softmax(-1)  # (B, N, N)
    return (v @ A.transpose(1, 2)).view(x.shape)
