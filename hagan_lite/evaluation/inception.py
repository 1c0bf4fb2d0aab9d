"""Run the Inception network of the FID (Section IV-A), by torch-fidelity, and check its weights.

The 2048 pooled features need every weight. The 768 features behind the block Mixed_6e need the
trunk alone, so that a file that ends there is enough for them.
"""

import functools
import io
import urllib.error
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hagan_lite.system.checkpoints import digest
from hagan_lite.system.paths import chosen

INCEPTION_URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
BEHIND_TRUNK = ("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool", "fc")
"""The layers that come after the 768 features; a trunk's file has no weights for them."""

State = dict[str, Tensor]


class Inception(nn.Module):
    """Turn uint8 images (B, 3, H, W) into the features (B, d) of one layer of InceptionV3.

    The weights are TensorFlow's of 2015-12-05.

    `layer` is "2048", the pooled features of the literature's FID, or "768", the pooled output of
    Mixed_6e, which pytorch-fid calls `--dims 768`. Raises ValueError that names the weights' file
    where it does not hold what the layer needs, ConnectionError where there is no file and it
    cannot be downloaded.
    """

    def __init__(self, layer: str) -> None:
        super().__init__()
        state = _weights_for(layer)
        self.net = _without_weights(layer)
        if layer == "768":
            for name in BEHIND_TRUNK:
                delattr(self.net, name)  # what is not there can return nothing
        self.net.load_state_dict(state, strict=True, assign=True)

    def forward(self, x: Tensor) -> Tensor:
        # The network's own resize, TensorFlow's, is not antialiased: it may only enlarge.
        if x.shape[-1] > 299:
            x = F.interpolate(
                x.float(), (299, 299), mode="bicubic", antialias=True, align_corners=False
            )
            x = x.round().clamp(0, 255).to(torch.uint8)
        return self.net(x)[0]


def _weights_for(layer: str) -> State:
    """Return the checked weights that `layer` needs; errors are those of Inception."""
    path = inception_weights()
    if path.is_dir():
        raise ValueError(f"{path}: a folder; set HAGAN_INCEPTION_WEIGHTS to the file of weights")
    if not path.is_file():
        _download(path)
    state = read_weights(path)
    if layer == "768":
        return {key: weights for key, weights in state.items() if not _is_behind_trunk(key)}
    if not has_every_layer(state):
        raise ValueError(
            f"{path} holds Inception's weights only as far as the 768 features, and extractor "
            "'inception' needs all of them: use 'inception-768', whose distance is FID-768, "
            f"or get {INCEPTION_URL} and set HAGAN_INCEPTION_WEIGHTS to where it is"
        )
    return state


def weights_digest(layer: str) -> str:
    """Return 12 hex digits of the weights that `layer`'s features are computed with.

    A file with the right names and shapes can hold any numbers, and features are kept: the digest
    keeps those of two files apart. Full weights and their trunk have one digest for "768". Errors
    are those of Inception.
    """
    path = inception_weights()
    state = path.stat() if path.is_file() else None
    return _digest(layer, path, state and (state.st_size, state.st_mtime_ns))


@functools.lru_cache(maxsize=4)
def _digest(layer: str, path: Path, state: tuple[int, int] | None) -> str:
    del path, state  # they are there to tell one file from another
    return digest(_weights_for(layer))[:12]


def inception_weights() -> Path:
    """Return the path of Inception's weights: HAGAN_INCEPTION_WEIGHTS, else torch.hub's folder.

    A relative path starts at the checkout. The file may hold all weights or the trunk's alone.
    """
    return chosen("HAGAN_INCEPTION_WEIGHTS", str(downloaded_weights()))


def downloaded_weights() -> Path:
    """Return where Inception's weights are put by a download, unless a variable names the file."""
    return Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_URL.rpartition("/")[2]


def read_weights(path: Path) -> State:
    """Read and check a file of Inception's weights: all of them, or the trunk's.

    No other object is unpickled.

    Raises ValueError that names the file, what is wrong with it and the remedy, unless it holds
    float32 tensors of exactly the names and shapes of torch-fidelity's network, all finite.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zipfile and torch raise many kinds
        # Their text is left out: torch's advises to load the file unsafely.
        raise _bad_weights(path, f"it cannot be read as tensors: {type(error).__name__}") from None
    if not isinstance(state, dict) or not all(
        isinstance(weights, Tensor) for weights in state.values()
    ):
        raise _bad_weights(path, "it holds other objects than named tensors")
    wanted = _without_weights("2048").state_dict()
    # Batch norm counts its training batches. Older files lack the counters.
    counters = {key: torch.tensor(0) for key in wanted if key.endswith("num_batches_tracked")}
    weights = {key: tensor for key, tensor in state.items() if key not in counters}
    if problem := _difference(
        weights, {key: tensor for key, tensor in wanted.items() if key not in counters}
    ):
        raise _bad_weights(path, problem)
    if not has_every_layer(weights):
        counters = {key: zero for key, zero in counters.items() if not _is_behind_trunk(key)}
    return weights | counters


def has_every_layer(state: State) -> bool:
    """Return whether checked weights are the whole network's, not the trunk's alone."""
    return any(_is_behind_trunk(key) for key in state)


def _difference(weights: State, wanted: State) -> str:
    """Return how `weights` differ from the network's `wanted` ones, or the trunk's; "" if not."""
    if not has_every_layer(weights):
        wanted = {key: tensor for key, tensor in wanted.items() if not _is_behind_trunk(key)}
    if unknown := [key for key in weights if key not in wanted]:
        return f"{len(unknown)} names are not the network's, such as {unknown[0]!r}"
    if missing := [key for key in wanted if key not in weights]:
        return f"{len(missing)} weights are missing, such as {missing[0]!r}"
    for key, tensor in weights.items():
        if tensor.shape != wanted[key].shape:
            return f"{key} has the shape {tuple(tensor.shape)}, not {tuple(wanted[key].shape)}"
        if tensor.dtype != torch.float32:
            return f"{key} is {tensor.dtype}, not torch.float32"
        if tensor.is_meta or not tensor.isfinite().all():
            return f"{key} has values that are not finite"
    return ""


def _is_behind_trunk(key: str) -> bool:
    return str(key).partition(".")[0] in BEHIND_TRUNK


def _bad_weights(path: Path, problem: str) -> ValueError:
    return ValueError(
        f"{path}: not the weights of {INCEPTION_URL}, nor their part as far as the 768 features "
        f"({problem}). Set HAGAN_INCEPTION_WEIGHTS to a file that holds them, or move this one "
        "away to have it downloaded again"
    )


def _without_weights(layer: str) -> nn.Module:
    """Build torch-fidelity's network on the meta device: names and shapes without values.

    Its constructor unpickles whatever its file holds and loads that strictly. So it is given a file
    without weights, and loads it without asking for any.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unloaded(FeatureExtractorInceptionV3):
        def load_state_dict(self, state: State, strict: bool = False, assign: bool = False):
            return super().load_state_dict(state, strict, assign)

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with torch.device("meta"):
        return Unloaded("inception", [layer], feature_extractor_weights_path=empty)


def _download(path: Path) -> None:
    """Fetch the full weights; a file with another hash is deleted.

    Raises ConnectionError that says where to put the file by hand.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(INCEPTION_URL, path, hash_prefix="6726825d")
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise ConnectionError(
            f"no Inception weights: {error}. Put {INCEPTION_URL} at {path}, or set "
            "HAGAN_INCEPTION_WEIGHTS to where it is; or use extractor='efficientnet-lite0', whose "
            "weights are here: its distance is FD, not FID"
        ) from error
