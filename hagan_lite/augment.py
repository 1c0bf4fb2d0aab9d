"""T, the differentiable augmentation of D's inputs (Section III-B; DiffAugment, Zhao et al. 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """One draw of T for a batch: calling it augments images, `move` moves anything that lies over them.

    The parameters are kept so that the saliency map can follow its image. Real and fake images get the same policy
    and independent draws: were T for the real ones alone, G would learn the augmented images (DiffAugment, Fig. 5).
    """

    shift: Tensor | None  # (B, 2) whole pixels down and right
    brightness: Tensor | None  # (B,) in [-1/2, 1/2], added
    contrast: Tensor | None  # (B,) in [1/2, 3/2], about the image's mean

    def __call__(self, x: Tensor) -> Tensor:
        """T(x), (B, C, H, W) in [-1, 1] -> the same shape; differentiable; values may leave [-1, 1], as in DiffAugment.

        The translation comes first, so that what it brings in (-1, the background; 0 would be mid-grey) gets the
        same brightness and contrast as the background that is there.
        """
        x = self.move(x, fill=-1.0)
        if self.brightness is not None:
            x = x + self.brightness[:, None, None, None]
        if self.contrast is not None:
            mean = x.mean((1, 2, 3), keepdim=True)
            x = (x - mean) * self.contrast[:, None, None, None] + mean
        return x

    def move(self, x: Tensor, fill: float | None = 0.0) -> Tensor:
        """The translation alone, of images or maps (B, C, H, W); `fill` comes in at the border, or (None) the edge."""
        if self.shift is None:
            return x
        B, C, H, W = x.shape
        rows, row_ok = _source(self.shift[:, 0], H)  # (B, H)
        columns, column_ok = _source(self.shift[:, 1], W)
        moved = x.gather(2, rows[:, None, :, None].expand(B, C, H, W))
        moved = moved.gather(3, columns[:, None, None, :].expand(B, C, H, W))
        if fill is None:
            return moved
        return torch.where(row_ok[:, None, :, None] & column_ok[:, None, None, :], moved, fill)


def draw(n: int, size: int, policy: tuple[str, ...], rng: torch.Generator, shift: float = 0.125) -> Augmentation:
    """A draw of T for n images. `policy`: any of brightness, contrast, translation; `shift`: a share of the side."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng, device=rng.device)

    most = int(size * shift)
    return Augmentation(
        shift=(uniform(n, 2) * (2 * most + 1)).long() - most if "translation" in policy else None,
        brightness=uniform(n) - 0.5 if "brightness" in policy else None,
        contrast=uniform(n) + 0.5 if "contrast" in policy else None,
    )


def flips_and_shifts(x: Tensor, rng: torch.Generator, border: str = "edge") -> Tensor:
    """The baselines' "flipping and panning" of real images (Section IV-A): mirrored by half, shifted by up to 1/16.

    Only D's real images are changed, so that G learns whatever the shift brings in: with border="black" it frames its
    images in black, where the real ones fill their frame. "edge" repeats the outermost pixels.
    """
    mirrored = torch.rand(len(x), generator=rng, device=rng.device) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    return draw(len(x), x.shape[-1], ("translation",), rng, shift=1 / 16).move(x, {"black": -1.0, "edge": None}[border])


def _source(shift: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """For each output position: where it is read from, and whether that lies inside."""
    at = torch.arange(length, device=shift.device) - shift[:, None]
    return at.clamp(0, length - 1), (at >= 0) & (at < length)
