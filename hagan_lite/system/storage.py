"""Files that are whole or absent: each is written beside its place and renamed into it."""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> Path:
    """Call `write` on a binary file that becomes `path` when it is complete, and return `path`.

    A killed process leaves the old file. The umask decides who may read the file, and a file that
    is replaced stays as private as it was. Raises OSError that names the file and the remedy where
    the disk is full or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with name_a_full_disk(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            if os.name == "posix" and path.exists():
                modes = [stat.S_IMODE(place.stat().st_mode) for place in (temporary, path)]
                os.chmod(temporary, modes[0] & modes[1])
            os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return path


@contextlib.contextmanager
def name_a_full_disk(path: Path) -> Iterator[None]:
    """Raise an OSError of the block again, with `path` and the remedy in its message."""
    try:
        yield
    except OSError as error:
        remedy = "free space or choose a folder you may write"
        if error.errno in (errno.EEXIST, errno.ENOTDIR):
            remedy = "a file has the name of a folder here; choose another folder"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy = "choose a folder you may write; HAGAN_BUILD names that for what the kit builds"
        raise OSError(
            error.errno or errno.ENOSPC,  # numpy names no number
            f"could not write {path}: {error.strerror or error}; {remedy}, "
            "then run the same command again: what was complete is kept",
        ) from error


NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What file systems answer that know no locks, as network drives mounted without them."""


@contextlib.contextmanager
def only_writer(folder: Path, wait: float = 30) -> Iterator[None]:
    """Lock `folder`: while the block runs no other process may train there.

    The lock is the system's: a dead process does not hold it. The kernel of a killed notebook needs
    a second or two to notice that its parent is gone, so wait up to `wait` seconds. Raises
    RuntimeError that names the folder where it is still locked then, OSError where it cannot be
    written, or knows no locks.
    """
    lock = FileLock(Path(folder) / ".lock", timeout=wait)
    with name_a_full_disk(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    _acquire(lock, folder)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let one process at a time read `path` and write it anew, where the file system has locks.

    Raises OSError that names the file and the remedy where the folder cannot be written.
    """
    lock = FileLock(path.with_suffix(".lock"))
    with name_a_full_disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
    try:
        yield
    finally:
        lock.release()


def written_now(folder: Path) -> bool:
    """Return whether some process holds the lock of `folder` at this moment.

    Where there are no locks, or the folder may not be written, nobody can tell: return False.
    """
    try:
        with FileLock(Path(folder) / ".lock", timeout=0):
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _acquire(lock: FileLock, folder: Path) -> None:
    """Acquire the lock of `folder`; raise RuntimeError or OSError as :func:`only_writer` says."""
    try:
        lock.acquire()
    except Timeout as error:
        raise RuntimeError(
            f"{folder}: another process trains there; wait for it, or end it and run again"
        ) from error
    except OSError as error:
        if error.errno not in NO_LOCKS:
            with name_a_full_disk(folder):
                raise
        raise OSError(
            error.errno,
            f"{folder} is on a file system without locks ({error}), so two processes could train "
            "there at once; mount it with locks (NFS: the option local_lock=flock), or set "
            "HAGAN_BUILD to a folder on another one",
        ) from error


def write_json(path: Path, value: Any) -> Path:
    """Write `value` indented, with a list of numbers on one line, and return `path`."""
    text = json.dumps(value, indent=1)
    list_of_numbers = r"\[\n[^][{}\"]+\]"  # no string holds a line break as it is
    text = re.sub(list_of_numbers, lambda match: " ".join(match[0].split()), text)
    return write_atomically(path, lambda file: file.write(f"{text}\n".encode()))


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; raise ValueError that names the file where it is damaged."""
    try:
        return json.loads(Path(path).read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON ({error}); delete it and run again") from error
