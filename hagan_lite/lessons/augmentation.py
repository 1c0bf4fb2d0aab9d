"""Show T with sliders: what it makes of a real image and of a generated one (Section III-B)."""

import io

import ipywidgets as w
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hagan_lite.augment import Augmentation
from hagan_lite.datasets.loading import load_for
from hagan_lite.datasets.pixels import to_tensor_range, to_uint8
from hagan_lite.lessons.pretrained import load_pretrained
from hagan_lite.model import draw_z

ZOOM = 3


class AugmentationExplorer(w.VBox):
    """Show x, T(x), G(z) and T(G(z)) side by side, with the four numbers of T on sliders.

    `augmented` holds T(x) and T(G(z)), (2, C, H, W).
    """

    augmented: Tensor

    def __init__(self) -> None:
        p = load_pretrained(device="cpu")
        self._e, self._G, self._images = p.experiment, p.G, load_for(p.experiment).images
        most = int(self._e.size * self._e.augment_shift)
        style = dict(description_width="110px")

        def whole(text: str, value: int, low: int, high: int) -> w.IntSlider:
            return w.IntSlider(value=value, min=low, max=high, description=text, style=style)

        def real(text: str, value: float, low: float, high: float) -> w.FloatSlider:
            how = dict(min=low, max=high, step=0.05, description=text, style=style)
            return w.FloatSlider(value=value, **how)

        self.real = whole("real image", 50, 0, len(self._images) - 1)
        self.fake = whole("noise number", 1, 0, 99)
        self.down = whole("shift down", 0, -most, most)
        self.right = whole("shift right", 0, -most, most)
        self.brightness = real("brightness", 0.0, -0.5, 0.5)
        self.contrast = real("contrast", 1.0, 0.5, 1.5)
        self.image, self.text = w.Image(format="png"), w.HTML()
        of_T = [self.down, self.right, self.brightness, self.contrast]
        for control in [self.real, self.fake, *of_T]:
            control.observe(self._update, "value")
        controls = w.HBox([w.VBox([self.real, self.fake]), w.VBox(of_T)])
        super().__init__([controls, self.image, self.text])
        self._update()

    @torch.inference_mode()
    def _update(self, _=None) -> None:
        z = draw_z(1, self._e, torch.Generator().manual_seed(self.fake.value))
        x = torch.from_numpy(to_tensor_range(self._images[self.real.value][None]))
        before = torch.cat([x, self._G(z)])
        T = Augmentation(
            torch.tensor([[self.down.value, self.right.value]] * 2),
            torch.full((2,), self.brightness.value),
            torch.full((2,), self.contrast.value),
        )
        self.augmented = T(before)
        self.image.value = _png(torch.stack([before, self.augmented], 1).flatten(0, 1))
        beyond = (self.augmented.abs() > 1).float().mean().item()
        self.text.value = (
            "From left to right: x, T(x), G(z), T(G(z)). "
            f"{beyond:.0%} of T's values lie beyond [-1, 1]; D sees them uncut."
        )


def _png(images: Tensor) -> bytes:
    """Return images (N, C, H, W) in [-1, 1] side by side, enlarged, as the bytes of a PNG."""
    row = np.concatenate(list(to_uint8(images)), axis=2)  # (C, H, N * W)
    row = row.repeat(3 // len(row), 0).transpose(1, 2, 0)
    out = io.BytesIO()
    Image.fromarray(row.repeat(ZOOM, 0).repeat(ZOOM, 1)).save(out, "png", compress_level=1)
    return out.getvalue()
