"""Measure one figure in a process of its own, and print it as JSON.

`python tests/bench/measure.py FIGURE '{"width": 64}'`, where FIGURE is a function of this file.
"""

import json
import os
import pickle
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import naive
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hagan_lite import datasets, hagan
from hagan_lite.batch import notebooks, progress, workers
from hagan_lite.config import Experiment
from hagan_lite.datasets import pixels
from hagan_lite.evaluation.features import features
from hagan_lite.evaluation.stopwatch import seconds
from hagan_lite.report import experiments
from hagan_lite.system import runtime
from hagan_lite.system.paths import RECORDS, RUNS
from hagan_lite.system.storage import write_json

Figures = dict[str, Any]


def build(
    model: str, width: int, device: str = "cpu", batch: int = 32, size: int = 64, **changes: Any
):
    """Return a Hagan in phase two, and a batch of noise for it.

    The heap is kept first, as train() does it, so that a step here is a step of a training.
    """
    runtime.keep_heap()
    changes |= dict(width=width, batch_size=batch, size=size, phase_two=0)
    precision, compiled = changes.pop("precision", "auto"), changes.pop("compiled", False)
    where = runtime.pick_device(device)
    e = Experiment.make(model, **changes)
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(batch, e.channels, size, size, generator=rng) * 2 - 1
    return hagan.Hagan(e, where, precision, compiled), x.to(where)


def matmul_rate(device: torch.device, n: int = 2048) -> float:
    """Return the FLOP/s of one float32 product of two n x n matrices.

    TF32 stays off, which is torch's default.
    """
    a, b = torch.rand(2, n, n, device=device)
    return 2 * n**3 / seconds(lambda: a @ b, device)


def counted_flops(model: hagan.Hagan, x: torch.Tensor) -> int:
    """Return the FLOPs of one step, 2 per multiply-accumulate, forward and backward.

    Convolutions and matrix products count, on two images, with the attention as the equation has
    it: zeros that a kernel adds and values that it computes again are no work.
    """
    with naive.naive_attention(), FlopCounterMode(display=False) as counter:
        model.step(x[:2], 0)
    return counter.get_total_flops() * len(x) // 2


def peak_mb(device: torch.device) -> int:
    """Return the most MB this process ever held, with torch itself.

    On CUDA it is what torch allocated there.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    per_mb = 20 if sys.platform == "darwin" else 10  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> per_mb


def step(n: int = 10, **how: Any) -> Figures:
    """Return the median time of a step, and its share of the speed of matmul in this process.

    Ten matmuls are timed around n steps.
    """
    model, x = build(**how)
    device = x.device
    flops = counted_flops(model, x)
    for t in range(2):
        model.step(x, t)
    rates = [matmul_rate(device) for _ in range(7)][2:]
    times = [seconds(lambda: model.step(x, 2), device) for _ in range(n)]
    rates += [matmul_rate(device) for _ in range(5)]
    median, rate = statistics.median(times), statistics.median(rates)
    return dict(
        seconds=median,
        fastest=min(times),
        gflop=flops / 1e9,
        matmul_gflop_per_second=rate / 1e9,
        share_of_matmul=flops / median / rate,
        peak_mb=peak_mb(device),
    )


def peak(steps: int = 2, **how: Any) -> Figures:
    """Return the most MB that a process holds which makes some steps and nothing else."""
    model, x = build(**how)
    for t in range(steps):
        model.step(x, t)
    return dict(peak_mb=peak_mb(x.device))


def alternate(
    one: Callable[[], Any], other: Callable[[], Any], device: torch.device, n: int = 8
) -> list[float]:
    """Return the median seconds of each, timed in turn, so that both meet the same machine."""
    for work in (one, other, one, other):
        work()
    times: dict[int, list[float]] = {0: [], 1: []}
    for _ in range(n):
        times[0].append(seconds(one, device))
        times[1].append(seconds(other, device))
    return [statistics.median(times[0]), statistics.median(times[1])]


def with_and_without(without: str, n: int = 5, **how: Any) -> Figures:
    """Time a step with and without one measure.

    `without` is a key of naive.MEASURES, or on CUDA "bf16" or "compile".
    """
    fast_how, slow_how = dict(how), dict(how)
    fast_how["compiled"] = without == "compile"
    if without == "bf16":
        slow_how["precision"] = "fp32"
    fast, x = build(**fast_how)
    slow, _ = build(**slow_how)
    slow_step = naive.MEASURES[without](slow) if without in naive.MEASURES else slow.step
    took, longer = alternate(lambda: fast.step(x, 0), lambda: slow_step(x, 0), x.device, n)
    return dict(seconds=took, without=longer, times_faster=longer / took)


def against_sagan(n: int = 8, **how: Any) -> Figures:
    """Return HAGAN's step over SAGAN's in time, in counted FLOPs, and the one over the other."""
    (one, x), (other, _) = build("hagan", **how), build("sagan", **how)
    flops = counted_flops(one, x) / counted_flops(other, x)
    took, least = alternate(lambda: one.step(x, 0), lambda: other.step(x, 0), x.device, n)
    ratio = took / least
    return dict(times_the_time=ratio, times_the_flops=flops, time_over_flops=ratio / flops)


def loading(images: int = 200, side: int = 400, batch: int = 32) -> Figures:
    """Return how many images a second are decoded from PNGs, and how many read from the cache.

    A batch taken from memory is timed against one decoded from files, too.
    """
    from PIL import Image

    cpu, rng = torch.device("cpu"), np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i:04d}.png" for i in range(images)]
        for path in files:
            Image.fromarray(rng.integers(0, 255, (side, side), dtype=np.uint8)).save(path)
        cold = seconds(lambda: datasets.load(folder), cpu)
        warm = seconds(lambda: datasets.load(folder), cpu)
        on_device, index = torch.from_numpy(datasets.load(folder).images), torch.arange(batch)

        def from_files() -> torch.Tensor:
            decoded = [pixels.stretch(pixels.decode(path), 64, 1) for path in files[:batch]]
            return torch.from_numpy(np.stack([pixels.to_tensor_range(image) for image in decoded]))

        fast, slow = alternate(lambda: on_device[index].float() / 127.5 - 1, from_files, cpu, 5)
    rates = dict(decoded_per_second=images / cold, from_cache_per_second=images / warm)
    return rates | dict(batch_seconds=fast, batch_from_files_seconds=slow, times_faster=slow / fast)


def brats_sized(folder: str, cases: int) -> Figures:
    """Write volumes of BraTS's size and layout: 240 x 240 x 155 voxels of int16.

    Each is shaded differently.
    """
    import nibabel as nib
    from nilearn.datasets import load_mni152_template

    volume = load_mni152_template(resolution=1).get_fdata(dtype=np.float32)
    volume = np.pad(np.where(volume > 0.05, volume, 0), ((22, 21), (4, 3), (0, 0)))[:, :, 17:172]
    for n in range(cases):
        rng = np.random.default_rng(n)
        waves = []
        for length in volume.shape:
            height, phase = 0.2 * rng.normal(), rng.uniform(0, 6)
            waves.append(1 + height * np.sin(np.arange(length) / 25 + phase))
        shaded = volume * waves[0][:, None, None] * waves[1][:, None] * waves[2]
        name = f"Brats18_{n:03d}"
        grade = "HGG" if n < 0.74 * cases else "LGG"
        path = Path(folder, "brats2018", grade, name, f"{name}_t1ce.nii.gz")
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(np.int16(shaded.clip(0) * 900), np.eye(4)), path)
    return {}


def volumes(cases: int = 285) -> Figures:
    """Return the seconds of preparing BraTS from nothing and of loading it again, and the peak.

    The peak is the most memory this process ever held, with torch itself. The volumes are made in
    another process, so that its memory does not count.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = json.dumps(dict(folder=folder, cases=cases))
        subprocess.run(
            [sys.executable, __file__, "brats_sized", given], check=True, stdout=subprocess.DEVNULL
        )
        os.environ["HAGAN_DATA"] = folder
        cold = seconds(lambda: datasets.load("brats2018"), torch.device("cpu"))
        peak = peak_mb(torch.device("cpu"))
        warm = seconds(lambda: datasets.load("brats2018"), torch.device("cpu"))
        data = datasets.load("brats2018")
    groups = len(np.unique(data.groups))
    return dict(images=len(data), groups=groups, prepared=cold, again=warm, peak_mb=peak)


def extraction(images: int = 96, device: str = "cpu") -> Figures:
    """Return how many images a second the feature extractor takes."""
    black = np.zeros((images, 1, 64, 64), np.uint8)
    features(black[:32], "efficientnet-lite0", device)
    took = seconds(lambda: features(black, "efficientnet-lite0", device), torch.device(device))
    return dict(images_per_second=images / took)


def notebook(name: str) -> Figures:
    """Return the seconds of one notebook at its defaults, smoke: kernel, imports and training.

    Only the slices are cached.
    """
    datasets.load("mni152")
    import papermill  # noqa: F401  (three seconds of this process, not of the notebook)

    return dict(seconds=seconds(lambda: notebooks.execute(name), torch.device("cpu")))


def overhead(n: int = 4) -> Figures:
    """Return the seconds of n smoke experiments in turn, and of the same by a batch on one worker.

    Both include all that a user waits for: the import of papermill here, the cluster's start and
    end there. Each is timed twice, in the order here-there-there-here, so that both meet the same
    machine; data and features are cached before.
    """
    grid = progress.plan([Experiment.make(preset="smoke", seed=s) for s in range(n + 1)])
    first, grid = grid[0], grid[1:]
    notebooks.run_experiment(first.e, first.run)

    def in_turn() -> None:
        script = "import sys, pickle\nfrom hagan_lite.batch.notebooks import run_experiment\n"
        script += "for cell in pickle.load(sys.stdin.buffer): run_experiment(cell.e, cell.run)"
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script], input=pickle.dumps(grid), check=True
        )

    def by_batch() -> None:
        assert workers.run_batch(grid, workers=1, say=lambda line: None) == {}

    took = {in_turn: 0.0, by_batch: 0.0}
    for work in (in_turn, by_batch, by_batch, in_turn):
        shutil.rmtree(RUNS)
        shutil.rmtree(RECORDS)
        took[work] += seconds(work, torch.device("cpu"))
        assert len(list(RECORDS.glob("*.json"))) == n
    here, there = took.values()
    return dict(in_turn_seconds=here / 2, batch_seconds=there / 2, overhead=there / here - 1)


def skipping(seeds: int = 143) -> Figures:
    """Return the seconds of a whole `hagan batch` whose experiments all have their record already.

    They are seven models with these seeds.
    """
    numbers = list(range(seeds))
    cells = experiments.experiments("table2", "smoke", numbers, [], ["mni152"], {})
    grid = progress.plan(cells)
    for cell in grid:
        data = dict(fingerprint=cell.fingerprint)
        record = dict(experiment=cell.e.to_dict(), data=data, metrics={}, minutes=0.1)
        write_json(RECORDS / f"{cell.name}.json", record)
    words = ["batch", "table2", "--preset", "smoke", "--datasets", "mni152"]
    words += ["--seeds", ",".join(map(str, numbers))]

    def again() -> None:
        command = [sys.executable, "-m", "hagan_lite.cli", *words]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    return dict(experiments=len(grid), seconds=seconds(again, torch.device("cpu")))


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
