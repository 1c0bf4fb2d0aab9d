"""Decoded images on disk: a memory-mapped `.npy` and what is known of it as `.json`, each whole or not there."""

import zlib
from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import IO, Any

import numpy as np

from hagan_lite.system.paths import BUILD
from hagan_lite.system.storage import read_json, write_atomically, write_json


def kept(
    key: str, planes: Iterator[np.ndarray], shape: tuple[int, ...], about: dict[str, Any]
) -> tuple[np.ndarray, dict[str, Any]]:
    """What is kept under `key`; where nothing is, :func:`write` makes it first. Raises OSError if it cannot be kept."""
    if not (found := read(key)):
        write(key, planes, shape, about)
        found = read(key)
    if not found:
        raise OSError(f"{_paths(key)[0]} was written and cannot be read again; look after that disk")
    return found


def read(key: str) -> tuple[np.ndarray, dict[str, Any]] | None:
    """(images, uint8 and read-only, mapped from the disk; what was written with them); None where there are none, or
    the file is damaged or of another hand."""
    images, about = _paths(key)
    try:
        known = read_json(about)
        found = np.load(images, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(known, dict) and known.pop("crc32", None) == [zlib.crc32(found), _crc_of(known)]
    return (found.view(np.ndarray), known) if whole else None


def write(key: str, planes: Iterator[np.ndarray], shape: tuple[int, ...], about: dict[str, Any]) -> None:
    """Writes uint8 planes, each of `shape`, as they come: all of them are never in memory. `about` may be filled by
    `planes` until the last one has come. Two processes that write the same key both leave whole, equal files."""
    images, json = _paths(key)

    def stream(file: IO[bytes]) -> None:
        crc, written = 0, 0
        _header(file, (0, *shape))
        for plane in planes:
            data = np.ascontiguousarray(plane, np.uint8).reshape(shape).tobytes()
            crc = zlib.crc32(data, crc)
            file.write(data)
            written += 1
        file.seek(0)
        _header(file, (written, *shape))  # as long as the first: numpy leaves room for the first axis to grow
        about["crc32"] = [crc]

    write_atomically(images, stream)
    (crc,) = about.pop("crc32")
    write_json(json, about | {"crc32": [crc, _crc_of(about)]})


def _crc_of(about: dict[str, Any]) -> int:
    return zlib.crc32(dumps(about, sort_keys=True).encode())


def forget(key: str) -> None:
    """So that the next load reads the files again; what is mapped already stays."""
    _paths(key)[1].unlink(missing_ok=True)


def _header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, dict(descr="|u1", fortran_order=False, shape=shape))


def _paths(key: str) -> tuple[Path, Path]:
    return BUILD / "cache" / f"{key}.npy", BUILD / "cache" / f"{key}.json"
