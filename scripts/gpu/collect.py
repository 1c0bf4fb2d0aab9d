"""Put results into few files of bounded size, and take them out again.

Some machines hand back no more than a few files of some MiB: one archive is cut into parts. What
matters most comes first, and what there is no room for is named in left-out.txt.
"""

import io
import tarfile
from fnmatch import fnmatch
from pathlib import Path

MIB = 1 << 20
PART, PARTS = 15 * MIB, 4
SMALL = MIB
"""A file of at most so many bytes is a log or a measurement: those come first."""
ORDER = ("samples.npz", "generator.safetensors", "curve.npz")


def collect(
    results: Path, out: Path, wanted: str = "*", part: int = PART, parts: int = PARTS
) -> list[Path]:
    """Write the files below `results` as parts of one archive into `out`, and return the parts.

    `wanted` is a pattern of their paths below `results`, such as "runs/acdc-*".
    """
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("results.tar.*"):
        old.unlink()
    room, taken, left_out = part * parts - 64 * 1024, [], []
    files = [p for p in results.rglob("*") if p.is_file()]
    files = [p for p in files if fnmatch(p.relative_to(results).as_posix(), wanted)]
    for path in sorted(files, key=_importance):
        size = path.stat().st_size + 2048  # with the archive's headers
        if size <= room:
            taken.append(path)
            room -= size
        else:
            left_out.append(f"{path.relative_to(results)}: {size / MIB:.1f} MiB")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        names = "\n".join(left_out).encode()
        about = tarfile.TarInfo("left-out.txt")
        about.size = len(names)
        archive.addfile(about, io.BytesIO(names))
        for path in taken:
            archive.add(path, str(path.relative_to(results)))
    content, made = buffer.getbuffer(), []
    for i, start in enumerate(range(0, len(content), part)):
        made.append(out / f"results.tar.{i}")
        made[-1].write_bytes(content[start : start + part])
    for line in left_out:
        print(f"no room for {line}")
    return made


def take_out(parts: Path, results: Path) -> Path:
    """Join the parts below `parts` and unpack them into `results`; return that folder.

    Raises FileNotFoundError where there is no part.
    """
    files = sorted(parts.glob("results.tar.*"), key=lambda path: int(path.suffix[1:]))
    if not files:
        raise FileNotFoundError(f"no results.tar.0, .1, ... in {parts}")
    results.mkdir(parents=True, exist_ok=True)
    joined = io.BytesIO(b"".join(path.read_bytes() for path in files))
    with tarfile.open(fileobj=joined) as archive:
        unpack(archive, results)
    return results


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack files and folders below `folder`; raise ValueError for anything else, before it.

    tarfile's own filter came with Python 3.11.4.
    """
    for member in archive:
        inside = (folder / member.name).resolve().is_relative_to(folder.resolve())
        if not inside or not (member.isfile() or member.isdir()):
            raise ValueError(f"{member.name} is no file below {folder}: nothing was unpacked")
    how = dict(filter="data") if hasattr(tarfile, "data_filter") else {}
    archive.extractall(folder, **how)


def _importance(path: Path) -> tuple[int, str]:
    """Return what sorts small files first, then by ORDER."""
    if path.stat().st_size <= SMALL:
        return 0, str(path)
    return 1 + (ORDER.index(path.name) if path.name in ORDER else len(ORDER)), str(path)
