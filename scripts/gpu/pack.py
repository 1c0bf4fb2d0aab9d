"""Pack what a machine without network and images needs, as one file: build/gpu/pack.tar."""

import argparse
import io
import json
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

import cases

from hagan_lite import runs
from hagan_lite.datasets import DataError, Dataset, arrays, load
from hagan_lite.datasets.loading import VERSION
from hagan_lite.evaluation.complexity import training_flops
from hagan_lite.system.paths import BUILD, COMMITTED, ROOT
from hagan_lite.system.runtime import commit

MIB = 1 << 20
WANTED = (
    ("mni152", 32),  # of the tests
    ("mni152", 64),
    ("covid-ct", 64),
    ("acdc", 64),
    ("lgg", 64),
    ("covid-ct", 256),
    ("acdc", 256),
)
"""The arrays in their order of importance: those for which there is no room are left out."""
FILES = ("pyproject.toml", "scripts/gpu.sh")
FILES += ("tests/conftest.py", "tests/helpers.py", "tests/test_cuda.py")
FOLDERS = ("hagan_lite", "scripts/gpu")


def main() -> None:
    """Write the pack, and say what is in it and what was left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUILD / "gpu" / "pack.tar")
    parser.add_argument("--mib", type=float, default=48, help="the pack's largest size")
    parser.add_argument(
        "--missing", action="store_true", help="only trainings that no record of data/results has"
    )
    parser.add_argument("--stand-in", action="store_true", help="embedded slices in every place")
    options = parser.parse_args()
    cells = cases.rehearsed() if options.stand_in else cases.grid()
    if options.missing:
        cells = cases.without_record(cells, runs.load_records(COMMITTED))
        print(f"{len(cells)} trainings have no record")
    made = pack(options.out, int(options.mib * MIB), cells, options.stand_in)
    print(f"{made}: {made.stat().st_size / MIB:.1f} MiB, commit {commit()}")


def pack(out: Path, most: int, cells: list[cases.Cell], stand_in: bool = False) -> Path:
    """Write the package, its CUDA tests, scripts/gpu and the arrays to `out`, and return it.

    `most` is the pack's size in bytes at most, `cells` are the trainings of stage 3. With
    `stand_in` embedded slices stand in every data set's place: a rehearsal needs no images.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(out, "w") as tar:
        for name in FILES:
            tar.add(ROOT / name, name)
        for folder in FOLDERS:
            for path in sorted((ROOT / folder).rglob("*")):
                if path.suffix in (".py", ".json"):
                    tar.add(path, str(path.relative_to(ROOT)))
        _add(tar, "COMMIT", commit().encode())
        _add(tar, "grid.json", json.dumps([cell.to_dict() for cell in cells]).encode())
        # A rehearsal reports no speed, and counting takes ten seconds.
        _add(tar, "flops.json", json.dumps({} if stand_in else _flops()).encode())
        with tempfile.TemporaryDirectory() as folder:
            for name, size in WANTED:
                if stand_in and (name, size) == WANTED[-1]:
                    continue
                _add_array(tar, name, size, Path(folder), most - out.stat().st_size, stand_in)
    return out


def _flops() -> dict[str, float]:
    """Return the floating-point operations of a step in phase two, by model, size and batch."""
    counted = {}
    for case in cases.STEPS:
        one_step = replace(case.experiment(), steps=1, phase_two=0)
        counted[f"{case.model} {case.size} {case.batch}"] = training_flops(one_step)
    return counted


def _add_array(
    tar: tarfile.TarFile, name: str, size: int, folder: Path, room: int, stand_in: bool
) -> None:
    """Add the ready array of a data set where it is here and there is room for it."""
    try:
        if stand_in:
            size = cases.LARGE_REHEARSED if size == cases.LARGE else size
            images = _stand_in(name, size)
        else:
            images = load(name, size)
    except DataError as error:
        print(f"left out: {name} at {size}: {error}")
        return
    path = arrays.path_of(folder, name, size, 1)
    arrays.write(path, name, images.images, images.groups, images.fingerprint, VERSION)
    mib = path.stat().st_size / MIB
    if path.stat().st_size + (1 << 16) > room:
        print(f"left out: {name} at {size}: {mib:.1f} MiB, and {room / MIB:.1f} are left (--mib)")
        return
    print(f"{name} at {size}: {len(images)} images, {mib:.1f} MiB")
    tar.add(path, str(Path("data") / path.relative_to(folder)))


def _stand_in(name: str, size: int) -> Dataset:
    """Return a dozen embedded slices under the name of a data set."""
    images = load("mni152", size)
    chosen = slice(40, 52)
    return Dataset(name, images.images[chosen], images.groups[chosen], "rehearsal")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file of that content."""
    about = tarfile.TarInfo(name)
    about.size = len(content)
    tar.addfile(about, io.BytesIO(content))


if __name__ == "__main__":
    main()
