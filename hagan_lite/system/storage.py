"""Files that are whole or absent: each is written beside its place and renamed into it."""

import contextlib
import io
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch
from filelock import FileLock, Timeout


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> Path:
    """Call `write` on a binary file that becomes `path` when it is complete, and return `path`.

    A killed process leaves the old file. Raises OSError that names the file and the remedy where
    the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = None
    try:
        with name_a_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            with os.fdopen(descriptor, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
    return path


@contextlib.contextmanager
def name_a_full_disk(path: Path) -> Iterator[None]:
    """Raise an OSError of the block again, with `path` and the remedy in its message."""
    try:
        yield
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path}: {error.strerror or error}; free space or choose a folder you "
            "may write, then run the same command again: what was complete is kept",
        ) from error


@contextlib.contextmanager
def only_writer(folder: Path, wait: float = 30) -> Iterator[None]:
    """Lock `folder`: while the block runs no other process may train there.

    The lock is the system's: a dead process does not hold it. The kernel of a killed notebook needs
    a second or two to notice that its parent is gone, so wait up to `wait` seconds. Raises
    RuntimeError that names the folder where it is still locked then.
    """
    lock = FileLock(Path(folder) / ".lock", timeout=wait)
    with name_a_full_disk(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire()
    except Timeout as error:
        raise RuntimeError(
            f"{folder}: another process trains there; wait for it, or end it and run again"
        ) from error
    try:
        yield
    finally:
        lock.release()


def written_now(folder: Path) -> bool:
    """Return whether some process holds the lock of `folder` at this moment."""
    try:
        with FileLock(Path(folder) / ".lock", timeout=0):
            return False
    except Timeout:
        return True


def write_json(path: Path, value: Any) -> Path:
    """Write `value` indented, with a list of numbers on one line, and return `path`."""
    text = json.dumps(value, indent=1)
    list_of_numbers = r"\[[^][{}\"]+\]"
    text = re.sub(list_of_numbers, lambda match: " ".join(match[0].split()), text)
    return write_atomically(path, lambda file: file.write(f"{text}\n".encode()))


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raise ValueError that names the file where it is damaged."""
    try:
        return json.loads(Path(path).read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it and run again") from error


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
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise
    # For damage torch raises RuntimeError, EOFError, UnpicklingError, BadZipFile ...
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} is damaged ({type(error).__name__}); delete it to start over"
        ) from error
