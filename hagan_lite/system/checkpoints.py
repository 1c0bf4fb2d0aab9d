"""Checkpoints and weights: tensors in one file, which can run no code and whose damage is noticed.

system.storage stays without torch, because commands and dask's workers import it.
"""

import hashlib
import io
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hagan_lite.system.storage import write_atomically

DIGEST = "sha256"
"""The key under which a file of tensors keeps their digest."""


def save_checkpoint(path: Path, state: dict) -> Path:
    """Write tensors and plain values to `path` and return it; raise OSError on a full disk."""
    # If torch wrote the file itself, a full disk would be an error that names no file.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def load_checkpoint(path: Path, device: torch.device) -> dict:
    """Return a checkpoint's tensors and plain values, the tensors on `device`.

    It can run no code, wherever it comes from (weights_only). Raises ValueError that names the file
    and the remedy where it is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums in it
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(damaged)
        return torch.load(path, map_location=device, weights_only=True)
    except OSError:  # not there, or not to be read: the error says so
        raise
    # For damage torch raises RuntimeError, EOFError, UnpicklingError, BadZipFile ...
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} is damaged ({type(error).__name__}); delete it to start over"
        ) from error


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> Path:
    """Write tensors to `path` with their digest, as safetensors, and return it.

    Raises OSError on a full disk.
    """
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    data = save(tensors, metadata={DIGEST: digest(tensors)})
    return write_atomically(path, lambda file: file.write(data))


def load_tensors(path: Path, remedy: str) -> dict[str, Tensor]:
    """Return the tensors of a file of safetensors, on the CPU.

    Raises ValueError that names the file and `remedy` where it is damaged. safetensors itself has
    no checksum, and would take a flipped bit for a weight; without a digest, as other programs
    write files, this does as well.
    """
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            written = (file.metadata() or {}).get(DIGEST)
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); {remedy}") from error
    if written not in (None, digest(tensors)):
        raise ValueError(f"{path} is damaged (its digest is another one); {remedy}")
    return tensors


def digest(tensors: dict[str, Tensor]) -> str:
    """Return the SHA-256 of tensors and their names, in 64 hex digits."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        found.update(name.encode())
        found.update(flat.view(torch.uint8).numpy())
    return found.hexdigest()
