"""Checkpoints: tensors and plain values in one file, which can run no code.

system.storage stays without torch, because commands and dask's workers import it.
"""

import io
import zipfile
from pathlib import Path

import torch

from hagan_lite.system.storage import write_atomically


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
    except FileNotFoundError:
        raise
    # For damage torch raises RuntimeError, EOFError, UnpicklingError, BadZipFile ...
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} is damaged ({type(error).__name__}); delete it to start over"
        ) from error
