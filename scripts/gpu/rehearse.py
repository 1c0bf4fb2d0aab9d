"""Rehearse on this machine's CPU, at smoke: pack, all stages with few packages, records.

The stages run in processes that see torch, numpy, safetensors, tqdm and what these need themselves,
as on a machine where nothing can be installed.
"""

import argparse
import importlib.metadata
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import cases
import collect
import pack

from hagan_lite.system.paths import ROOT

NEEDED = ("torch", "numpy", "safetensors", "tqdm")
HIDING = '''"""Hide packages from this interpreter as if they were not installed."""

import sys
from importlib.machinery import PathFinder

HIDDEN = set({hidden!r})


class Few(PathFinder):
    """Find what PathFinder finds, but no hidden package."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        return PathFinder.find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Few
'''


def main() -> None:
    """Rehearse in a temporary folder, or in --folder; fail where a stage did not finish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where everything stays, to look at")
    parser.add_argument("--seconds", type=float, default=900, help="for all stages")
    parser.add_argument("--no-records", action="store_true", help="stop before the evaluation")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        there = unpacked(folder)
        stages(there, folder, options.seconds)
        if not options.no_records:
            records(there, folder)
    print("rehearsed")


def unpacked(folder: Path) -> Path:
    """Pack with embedded slices in every data set's place, unpack beside, return that folder."""
    there = folder / "there"
    made = pack.pack(folder / "pack.tar", 48 << 20, cases.rehearsed(), stand_in=True)
    with tarfile.open(made) as tar:
        collect.unpack(tar, there)
    return there


def stages(there: Path, folder: Path, seconds: float) -> None:
    """Run all stages as on the other machine; exit where one is not done."""
    script = folder / "hiding" / "sitecustomize.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(HIDING.format(hidden=sorted(hidden())))
    command = ["bash", str(there / "scripts" / "gpu.sh"), "--there", "--rehearsal"]
    command += ["--device", "cpu", "--seconds", str(seconds)]
    command += ["--workers", "2", "--out", str(folder / "out")]
    environment = os.environ | dict(PYTHON=sys.executable, PYTHONPATH=str(script.parent))
    subprocess.run(command, cwd=there, env=environment, check=True)
    results = collect.take_out(folder / "out", folder / "results")
    done = [(results / f"stage{stage}.done").exists() for stage in range(1, 4)]
    if not all(done):
        sys.exit(f"not every stage came to its end: {done}")


def records(there: Path, folder: Path) -> None:
    """Evaluate one run that came back, with this machine's packages."""
    name = min(path.name for path in (folder / "results" / "runs").iterdir())
    command = [sys.executable, str(ROOT / "scripts" / "gpu" / "records.py"), str(folder / "out")]
    command += ["--results", str(folder / "results"), "--records", str(folder / "records")]
    command += ["--names", name, "--extractor", "efficientnet-lite0"]
    environment = os.environ | dict(HAGAN_DATA=str(there / "data"), PYTHONPATH=str(ROOT))
    subprocess.run(command, env=environment, check=True)


def hidden() -> set[str]:
    """Return the top-level modules of all installed packages but NEEDED and what these need."""
    seen, waiting = set(), list(NEEDED)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in seen:
            continue
        seen.add(name)
        try:
            wanted = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        waiting += [re.match(r"[\w.-]+", line)[0] for line in wanted if "extra ==" not in line]
    hiding = set()
    for module, owners in importlib.metadata.packages_distributions().items():
        if not {owner.lower().replace("_", "-") for owner in owners} & seen:
            hiding.add(module)
    return hiding - {"hagan_lite"}


if __name__ == "__main__":
    main()
