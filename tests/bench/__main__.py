"""How fast is it here? `make bench` prints one JSON: what a step costs, what each measure brings,
what it must show.

Each figure has a process of its own, for its peak memory's sake. Nothing is written into the
checkout: times belong to a machine and an hour; the ratios may be quoted. On a GPU: `python
tests/bench --device cuda`.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from naive import MEASURES

from hagan_lite.batch.notebooks import NOTEBOOKS
from hagan_lite.system import runtime

MEASURE = Path(__file__).with_name("measure.py")
NO_GLIBC = "import platform; platform.libc_ver = lambda *_: ('', '')"  # so that hagan_lite finds no heap to keep
PARTS = ("steps", "measures", "paper", "loading", "explorer", "notebooks", "batch")
MODELS = ("dcgan", "sagan", "hagan")


def figure(
    name: str, /, before: str = "", env: dict[str, str] | None = None, **given: Any
) -> dict[str, Any]:
    """One figure of measure.py, in a process of its own, with caches of its own. `before`: Python
    that runs first.
    """
    script = f"{before}\nimport runpy; runpy.run_path({str(MEASURE)!r}, run_name='__main__')"
    with tempfile.TemporaryDirectory(prefix="hagan-bench-") as build:
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, name, json.dumps(given)],
            env=os.environ | dict(HAGAN_BUILD=build, PYTHONPATH=str(MEASURE.parent)) | (env or {}),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    found = {k: float(f"{v:.4g}") for k, v in json.loads(ran.stdout.splitlines()[-1]).items()}
    print(
        name, given, found, file=sys.stderr, flush=True
    )  # so that an hour is not lost to what fails at its end
    return found


def steps(device: str) -> dict:
    found = {
        f"{m} {w}": figure("step", model=m, width=w, device=device)
        for w in (32, 64)
        for m in MODELS
    }
    return found | {
        f"hagan over sagan {w}": figure("against_sagan", width=w, device=device) for w in (32, 64)
    }


def measures(device: str) -> dict:
    names = [*MEASURES, *(["bf16", "compile"] if device == "cuda" else [])]
    how = dict(model="hagan", width=64, device=device)
    found = {f"{name} 64": figure("measure", without=name, **how) for name in names}
    if device == "cpu" and sys.platform == "linux":
        for model, width in (("hagan", 64), ("dcgan", 32)):
            found[f"heap kept, {model} {width}"] = in_turn(
                dict(model=model, width=width), before=NO_GLIBC
            )
    for width in (32, 64):  # choices of the experiment: another map, and a second pass of G
        how = dict(model="hagan", width=width, device=device)
        found[f"output map, hagan {width}"] = in_turn(how, saliency="received")
        found[f"one pass of G, hagan {width}"] = in_turn(how, fresh_noise=True)
        found[f"both, hagan {width}"] = in_turn(how, saliency="received", fresh_noise=True)
    if (
        device == "cpu"
    ):  # no measure of ours but the user's choice: waiting threads that sleep instead of spinning
        how = dict(model="hagan", width=32, env=dict(OMP_WAIT_POLICY="PASSIVE"))
        found["OMP_WAIT_POLICY=PASSIVE, hagan 32"] = in_turn(how, env={})
        with a_busy_core():
            found["OMP_WAIT_POLICY=PASSIVE, hagan 32, one core busy"] = in_turn(how, env={})
    return found


def in_turn(how: dict, n: int = 3, **without: Any) -> dict:
    """The fastest step in processes as they are, and in processes without a measure, in turn: on a
    machine that others use too, a median is as often theirs as ours.
    """
    pairs = [(figure("step", **how), figure("step", **how | without)) for _ in range(n)]
    took, longer = (min(f["fastest"] for f in column) for column in zip(*pairs, strict=True))
    return dict(seconds=took, without=longer, times_faster=float(f"{longer / took:.4g}"))


@contextlib.contextmanager
def a_busy_core() -> Iterator[None]:
    loop = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"  # it does not outlive this process
    neighbour = subprocess.Popen([sys.executable, "-c", loop])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


def paper(device: str) -> dict:
    """The paper's setting at 256x256: batches of 2, z of 1000."""
    how = dict(model="hagan", preset="paper", width=64, size=256, batch=2, device=device)
    return {"hagan 64 at 256x256": figure("step", n=3, **how)}


def loading(device: str) -> dict:
    return {
        "data": figure("loading"),
        "volumes": figure("volumes"),
        "features": figure("extraction", device=device),
    }


def explorer(device: str) -> dict:
    """How long a student waits for the picture after moving a slider."""
    return {"AttnMix explorer": figure("explorer")}


def notebooks(device: str) -> dict:
    names = sorted(
        str(p.relative_to(NOTEBOOKS).with_suffix("")) for p in NOTEBOOKS.rglob("[0-9]*.ipynb")
    )
    return {name: figure("notebook", name=name) for name in names}


def batch(device: str) -> dict:
    """What it costs to hand experiments to a worker, and to find that a thousand are done."""
    return {"one worker": figure("overhead"), "all done": figure("skipping")}


def targets(found: dict) -> list[dict]:
    """What is asked of two cores at 64x64, batches of 32, width 64, beside what was found."""
    wanted = [
        ("steps", "dcgan 64", "share_of_matmul", ">=", 0.50),
        ("steps", "hagan 64", "share_of_matmul", ">=", 0.40),
        ("steps", "hagan over sagan 64", "time_over_flops", "<=", 1.15),
        ("steps", "hagan 64", "peak_mb", "<=", 2.5 * 1024),
        ("measures", "heap kept, hagan 64", "times_faster", ">=", 1.3),
        ("paper", "hagan 64 at 256x256", "peak_mb", "<=", 6 * 1024),
        ("explorer", "AttnMix explorer", "seconds", "<=", 0.2),
        ("loading", "volumes", "peak_mb", "<=", 1024),
        ("loading", "volumes", "again", "<=", 1),
        ("batch", "one worker", "overhead", "<=", 0.15),
        ("batch", "all done", "seconds", "<=", 5),
    ]
    wanted += [("notebooks", name, "seconds", "<=", 20) for name in found.get("notebooks", ())]
    rows = []
    for part, name, what, sign, limit in wanted:
        if name in found.get(part, ()):
            value = found[part][name][what]
            met = value >= limit if sign == ">=" else value <= limit
            rows.append(
                dict(figure=f"{name}: {what}", found=value, wanted=f"{sign} {limit:g}", met=met)
            )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; none: all"
    )
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    found = {part: globals()[part](asked.device) for part in asked.parts or PARTS}
    machine = runtime.provenance(runtime.pick_device(asked.device)) | dict(load=os.getloadavg())
    print(json.dumps(dict(machine=machine) | found | dict(targets=targets(found)), indent=1))
