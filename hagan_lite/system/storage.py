"""Files that are whole or not there: every file of a run is written beside its place and renamed into it."""

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
    """Calls `write` on a binary file that becomes `path` when it is complete: a killed process leaves the old file.

    Raises OSError that names the file and the remedy where the disk is full or the folder cannot be written.
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
    """An OSError within names `path` and the remedy."""
    try:
        yield
    except OSError as error:
        remedy = f"could not write {path}: {error.strerror or error}; free space or choose a folder you may write, "
        raise OSError(
            error.errno, remedy + "then run the same command again: what was complete is kept"
        ) from error


@contextlib.contextmanager
def only_writer(folder: Path, wait: float = 30) -> Iterator[None]:
    """Within it no other process writes in `folder`. The lock is the system's: a dead process does not hold it.

    It waits, for the kernel of a killed notebook needs a second or two to notice that its parent is gone. Raises
    RuntimeError that names the folder where it is still taken after `wait` seconds.
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
    """Whether some process is the only writer of `folder` at this moment."""
    try:
        with FileLock(Path(folder) / ".lock", timeout=0):
            return False
    except Timeout:
        return True


def write_json(path: Path, value: Any) -> Path:
    """Indented, with a list of numbers on one line."""
    text = (
        re.sub(
            r"\[[^][{}\"]+\]", lambda found: " ".join(found[0].split()), json.dumps(value, indent=1)
        )
        + "\n"
    )
    return write_atomically(path, lambda f: f.write(text.encode()))


def read_json(path: Path) -> Any:
    """Raises ValueError that names the file where it is not JSON."""
    try:
        return json.loads(Path(path).read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it and run again") from error


def save_checkpoint(path: Path, state: dict) -> Path:
    buffer = (
        io.BytesIO()
    )  # written through torch, a full disk would be an error of torch's that names no file
    torch.save(state, buffer)
    return write_atomically(path, lambda f: f.write(buffer.getbuffer()))


def load_checkpoint(path: Path, device: torch.device) -> dict:
    """Tensors and plain values only (weights_only): a checkpoint from elsewhere can run no code.

    Raises ValueError that names the file and the remedy where it is damaged.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise
    except (
        Exception
    ) as error:  # torch raises RuntimeError, EOFError, UnpicklingError, BadZipFile ... for damage
        raise ValueError(
            f"checkpoint {path} is damaged ({type(error).__name__}); delete it to start over"
        ) from error
