"""Decoded images on disk: a memory-mapped `.npy` and a `.json` about them, each whole or absent."""

import json
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hagan_lite.system.paths import BUILD
from hagan_lite.system.storage import name_a_full_disk, read_json, write_atomically, write_json

Append = Callable[[np.ndarray], None]
Cached = tuple[np.ndarray, dict[str, Any]]


def load_or_make(
    key: str, shape: tuple[int, ...], make: Callable[[Append], dict[str, Any]]
) -> Cached:
    """Return (images, about) of `key`; where the cache lacks or lost them, make them first.

    `make` is called with a function that takes the next image, `shape` uint8, and returns what is
    to be stored about all of them, as JSON. Raises OSError if the cache cannot be written.
    """
    cached = read(key)
    if cached is None:
        write(key, shape, make)
        cached = read(key)
    if cached is None:
        path = _paths(key)[0]
        raise OSError(f"{path} was written and cannot be read again; look after that disk")
    return cached


def read(key: str) -> Cached | None:
    """Return (images, about) of `key`: (N, ...) uint8, read-only, mapped from the disk.

    Return None where there is nothing, or where a checksum shows that a file is damaged.
    """
    images_path, about_path = _paths(key)
    try:
        about = read_json(about_path)
        images = np.load(images_path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(about, dict):
        return None
    expected = about.pop("crc32", None)
    if expected != _checksums(images, about):
        return None
    return images.view(np.ndarray), about


def write(key: str, shape: tuple[int, ...], make: Callable[[Append], dict[str, Any]]) -> None:
    """Store what `make` produces; see `load_or_make`.

    How many images there will be is not clear in advance and all of them may not fit into memory:
    they wait in a nameless file, from which `np.save` copies them. Two processes that write the
    same key both leave whole, equal files.
    """
    images_path, about_path = _paths(key)
    count = 0
    with name_a_full_disk(images_path):
        images_path.parent.mkdir(parents=True, exist_ok=True)
        waiting = tempfile.TemporaryFile(dir=images_path.parent)  # noqa: SIM115
    with waiting:

        def append(image: np.ndarray) -> None:
            nonlocal count
            pixels = np.ascontiguousarray(image, np.uint8).reshape(shape)
            with name_a_full_disk(images_path):
                waiting.write(pixels.data)
            count += 1

        about = make(append)
        with name_a_full_disk(images_path):
            waiting.flush()
        images = np.zeros((0, *shape), np.uint8)
        if count:  # an empty file cannot be mapped
            images = np.memmap(waiting, np.uint8, mode="r", shape=(count, *shape))
        write_atomically(images_path, lambda file: np.save(file, images))
        write_json(about_path, about | {"crc32": _checksums(images, about)})


def forget(key: str) -> None:
    """Let the next load read the image files again; what is mapped already stays mapped."""
    _paths(key)[1].unlink(missing_ok=True)


def _checksums(images: np.ndarray, about: dict[str, Any]) -> list[int]:
    return [zlib.crc32(images), zlib.crc32(json.dumps(about, sort_keys=True).encode())]


def _paths(key: str) -> tuple[Path, Path]:
    folder = BUILD / "cache"
    return folder / f"{key}.npy", folder / f"{key}.json"
