"""Measure how fast it is here, and print one JSON; `make bench` calls it.

It says what a step costs, what each measure saves, and which targets are met. Each figure has a
process of its own, so that its peak memory is its own. Nothing is written into the checkout: times
belong to a machine and an hour; the ratios may be quoted. On a GPU: `python tests/bench --device
cuda`.
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
NO_GLIBC = "import platform; platform.libc_ver = lambda *_: ('', '')"
"""Python after which runtime.keep_heap does nothing, as on systems without glibc."""
PARTS = ("steps", "measures", "paper", "loading", "notebooks", "batch")
MODELS = ("dcgan", "sagan", "hagan")


def figure(
    name: str, /, before: str = "", env: dict[str, str] | None = None, **given: Any
) -> dict[str, Any]:
    """Return one figure of measure.py, from a process and with caches of its own.

    `before` is Python that runs first, `env` are further environment variables.
    """
    script = f"{before}\nimport runpy; runpy.run_path({str(MEASURE)!r}, run_name='__main__')"
    path = os.pathsep.join(filter(None, [str(MEASURE.parent), os.environ.get("PYTHONPATH")]))
    with tempfile.TemporaryDirectory(prefix="hagan-bench-") as build:
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, name, json.dumps(given)],
            env=os.environ | dict(HAGAN_BUILD=build, PYTHONPATH=path) | (env or {}),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    values = json.loads(ran.stdout.splitlines()[-1])
    rounded = {key: float(f"{value:.4g}") for key, value in values.items()}
    # At once, so that an hour is not lost if something fails at its end.
    print(name, given, rounded, file=sys.stderr, flush=True)
    return rounded


def steps(device: str) -> dict[str, dict]:
    """Time a step of three models at two widths, and HAGAN's over SAGAN's."""
    figures = {}
    for width in (32, 64):
        for model in MODELS:
            figures[f"{model} {width}"] = figure("step", model=model, width=width, device=device)
    for width in (32, 64):
        ratio = figure("against_sagan", width=width, device=device)
        figures[f"hagan over sagan {width}"] = ratio
    return figures


def measures(device: str) -> dict[str, dict]:
    """Time a step with and without each measure that makes it faster."""
    figures = {}
    for name in [*MEASURES, *(["bf16", "compile"] if device == "cuda" else [])]:
        how = dict(model="hagan", width=64, device=device)
        figures[f"{name} 64"] = figure("with_and_without", without=name, **how)
    if device == "cpu" and sys.platform == "linux":
        for model, width in (("hagan", 64), ("dcgan", 32)):
            how = dict(model=model, width=width)
            figures[f"heap kept, {model} {width}"] = in_turn(how, before=NO_GLIBC)
    for width in (32, 64):  # choices of the experiment: another map, and a second pass of G
        how = dict(model="hagan", width=width, device=device)
        figures[f"output map, hagan {width}"] = in_turn(how, saliency="received")
        figures[f"one pass of G, hagan {width}"] = in_turn(how, fresh_noise=True)
        figures[f"both, hagan {width}"] = in_turn(how, saliency="received", fresh_noise=True)
    if device == "cpu":
        # No measure of ours but the user's choice: waiting threads that sleep instead of spinning.
        how = dict(model="hagan", width=32, env=dict(OMP_WAIT_POLICY="PASSIVE"))
        figures["OMP_WAIT_POLICY=PASSIVE, hagan 32"] = in_turn(how, env={})
        with a_busy_core():
            figures["OMP_WAIT_POLICY=PASSIVE, hagan 32, one core busy"] = in_turn(how, env={})
    return figures


def in_turn(how: dict, n: int = 3, **without: Any) -> dict[str, float]:
    """Time steps in processes as they are, and in processes without a measure, in turn.

    The fastest counts: on a machine that others use too, a median is as often theirs as ours.
    """
    took, longer = [], []
    for _ in range(n):
        took.append(figure("step", **how)["fastest"])
        longer.append(figure("step", **how | without)["fastest"])
    times_faster = float(f"{min(longer) / min(took):.4g}")
    return dict(seconds=min(took), without=min(longer), times_faster=times_faster)


@contextlib.contextmanager
def a_busy_core() -> Iterator[None]:
    """Have another process compute all the time; it does not outlive this process."""
    loop = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
    neighbour = subprocess.Popen([sys.executable, "-c", loop])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


def paper(device: str) -> dict:
    """Time the paper's setting at 256x256: batches of 2, z of 1000."""
    how = dict(model="hagan", preset="paper", width=64, size=256, batch=2, device=device)
    return {"hagan 64 at 256x256": figure("step", n=3, **how)}


def loading(device: str) -> dict[str, dict]:
    """Time the loading of images and volumes, and the extraction of features."""
    extraction = figure("extraction", device=device)
    return {"data": figure("loading"), "volumes": figure("volumes"), "features": extraction}


def notebooks(device: str) -> dict:
    """Time every notebook at smoke."""
    paths = sorted(path.relative_to(NOTEBOOKS) for path in NOTEBOOKS.rglob("[0-9]*.ipynb"))
    names = [str(path.with_suffix("")) for path in paths]
    return {name: figure("notebook", name=name) for name in names}


def batch(device: str) -> dict[str, dict]:
    """Time the handing of experiments to a worker, and the check that a thousand are done."""
    return {"one worker": figure("overhead"), "all done": figure("skipping")}


def targets(figures: dict[str, dict]) -> list[dict[str, Any]]:
    """Return the targets for two cores, batches of 32 at 64x64, and whether they are met."""
    wanted = [
        ("steps", "dcgan 64", "share_of_matmul", ">=", 0.50),
        ("steps", "hagan 64", "share_of_matmul", ">=", 0.40),
        ("steps", "hagan over sagan 64", "time_over_flops", "<=", 1.15),
        ("steps", "hagan 64", "peak_mb", "<=", 2.5 * 1024),
        ("measures", "heap kept, hagan 64", "times_faster", ">=", 1.3),
        ("paper", "hagan 64 at 256x256", "peak_mb", "<=", 6 * 1024),
        ("loading", "volumes", "peak_mb", "<=", 1024),
        ("loading", "volumes", "again", "<=", 1),
        ("batch", "one worker", "overhead", "<=", 0.15),
        ("batch", "all done", "seconds", "<=", 5),
    ]
    for name in figures.get("notebooks", ()):
        wanted.append(("notebooks", name, "seconds", "<=", 20))
    rows = []
    for part, name, what, sign, limit in wanted:
        if name in figures.get(part, ()):
            value = figures[part][name][what]
            met = value >= limit if sign == ">=" else value <= limit
            row = dict(figure=f"{name}: {what}", found=value, wanted=f"{sign} {limit:g}", met=met)
            rows.append(row)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}; none: all"
    )
    parser.add_argument("--device", default="cpu")
    asked = parser.parse_args()
    figures = {part: globals()[part](asked.device) for part in asked.parts or PARTS}
    machine = runtime.provenance(runtime.pick_device(asked.device)) | dict(load=os.getloadavg())
    summary = dict(machine=machine) | figures | dict(targets=targets(figures))
    print(json.dumps(summary, indent=1))
