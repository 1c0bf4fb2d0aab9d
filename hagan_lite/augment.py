"""T, the differentiable augmentation of D's inputs (Section III-B; Zhao et al. 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hagan_lite.system.shapes import Float, Int

Images = Float[Tensor, "B C H W"]


@dataclass(frozen=True)
class Augmentation:
    """Hold one draw of T for a batch: a call augments images, `move` translates maps of them.

    The parameters are kept so that the saliency map can follow its image. Real and fake images get
    the same policy and independent draws: were T for the real ones alone, G would learn the
    augmented images (DiffAugment, Fig. 5).
    """

    shift: Int[Tensor, "B 2"] | None  # whole pixels down and right
    brightness: Float[Tensor, " B"] | None  # in [-1/2, 1/2], added
    contrast: Float[Tensor, " B"] | None  # in [1/2, 3/2], about the image's mean

    def __call__(self, x: Images) -> Images:
        """Return T(x) for images in [-1, 1]; differentiable. Values may leave [-1, 1].

        The translation comes first, so that what it brings in (-1, the background; 0 would be
        mid-grey) gets the same brightness and contrast as the background that is there.
        """
        x = self.move(x, fill=-1.0)
        if self.brightness is not None:
            x = x + self.brightness[:, None, None, None]
        if self.contrast is not None:
            mean = x.mean((1, 2, 3), keepdim=True)
            x = (x - mean) * self.contrast[:, None, None, None] + mean
        return x

    def move(self, x: Images, fill: float | None = 0.0) -> Images:
        """Translate images or maps; uncovered pixels get `fill`, or with None repeat the edge."""
        if self.shift is None:
            return x
        B, C, H, W = x.shape
        rows, row_inside = _source(self.shift[:, 0], H)
        columns, column_inside = _source(self.shift[:, 1], W)
        moved = x.gather(2, rows[:, None, :, None].expand(B, C, H, W))
        moved = moved.gather(3, columns[:, None, None, :].expand(B, C, H, W))
        if fill is None:
            return moved
        inside = row_inside[:, None, :, None] & column_inside[:, None, None, :]
        return torch.where(inside, moved, fill)


def draw(
    n: int, size: int, policy: tuple[str, ...], rng: torch.Generator, shift: float = 0.125
) -> Augmentation:
    """Draw T for n images of `size` pixels a side, on the device of `rng`.

    `policy` holds any of brightness, contrast and translation; `shift` is the largest translation
    as a share of the side.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng, device=rng.device)

    most = int(size * shift)
    return Augmentation(
        shift=(uniform(n, 2) * (2 * most + 1)).long() - most if "translation" in policy else None,
        brightness=uniform(n) - 0.5 if "brightness" in policy else None,
        contrast=uniform(n) + 0.5 if "contrast" in policy else None,
    )


def flips_and_shifts(x: Images, rng: torch.Generator, border: str = "edge") -> Images:
    """Return real images, half of them mirrored, shifted by up to 1/16 of the side.

    This is the baselines' "flipping and panning" (Section IV-A). Only D's real images are changed,
    so that G learns whatever the shift brings in: with border="black" it frames its images in
    black, where the real ones fill their frame. "edge" repeats the outermost pixels.
    """
    mirrored = torch.rand(len(x), generator=rng, device=rng.device) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    panned = draw(len(x), x.shape[-1], ("translation",), rng, shift=1 / 16)
    return panned.move(x, fill=-1.0 if border == "black" else None)


def _source(shift: Int[Tensor, " B"], length: int) -> tuple[Tensor, Tensor]:
    """Return where each output position is read from, and whether that is inside: (B, length)."""
    at = torch.arange(length, device=shift.device) - shift[:, None]
    return at.clamp(0, length - 1), (at >= 0) & (at < length)
