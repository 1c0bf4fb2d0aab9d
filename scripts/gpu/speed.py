"""Stage 2: what a step costs, as it is, recorded, compiled, and in several processes at once."""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cases
import torch

from hagan_lite.model import model_of
from hagan_lite.system import graphs
from hagan_lite.system.paths import ROOT
from hagan_lite.system.runtime import keep_heap, pick_device

GROUPS = ("eager", "recorded", "at-once", "compiled")
MAIN = replace(cases.STEPS[0], mode="recorded")
"""The step that several processes take at once."""
PROCESSES = (1, 4, 8)


def main() -> None:
    """Time one group of cases until the time is over; add a line for each to speed.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    groups = (*GROUPS, "child")
    parser.add_argument("--group", choices=groups, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for speed.jsonl")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=1, help="children that take steps at once")
    parser.add_argument("--rehearsal", action="store_true")
    options = parser.parse_args()
    keep_heap()
    options.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + options.seconds
    for group in options.group:
        if group == "child":
            at_once_child(options)
        elif group == "at-once":
            if not any(line["case"] == "at once" for line in lines(options.out)):
                add(options.out, at_once(options))
        else:
            time_group(group, options, deadline)


def time_group(group: str, options: argparse.Namespace, deadline: float) -> None:
    """Time the matrix product, then each case that is not in speed.jsonl yet."""
    device = pick_device(options.device)
    done = {line["case"] for line in lines(options.out)}
    if "matmul" not in done:
        add(options.out, matmul(device, 256 if options.rehearsal else 8192))
    for case in cases.timed(group, options.rehearsal):
        if case.name in done:
            continue
        if time.monotonic() > deadline:
            print(f"{group}: the time is over before {case.name}")
            return
        try:
            add(options.out, time_step(case, device, options.rehearsal))
        except Exception as error:  # out of memory, say: the other cases are still wanted
            add(options.out, dict(case=case.name, failed=f"{type(error).__name__}: {error}"[:500]))


def matmul(device: torch.device, n: int) -> dict[str, Any]:
    """Return the FLOP/s of a product of two random n x n matrices, in both precisions."""
    rates = {}
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        a, b = (torch.rand(n, n, device=device).to(dtype) for _ in range(2))
        for _ in range(3):
            a @ b
        _wait(device)
        began = time.perf_counter()
        for _ in range(10):
            a @ b
        _wait(device)
        rates[name] = 10 * 2 * n**3 / (time.perf_counter() - began)
    return dict(case="matmul", n=n, flop_per_second=rates)


def time_step(case: cases.Case, device: torch.device, rehearsal: bool) -> dict[str, Any]:
    """Return the milliseconds of a step, those in which the host launches it, and its memory."""
    model, step, x = _ready(case, device, rehearsal)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    began = time.perf_counter()
    for t in range(graphs.WARM_UP + 2):
        step(x, t)
    _wait(device)
    warm = time.perf_counter() - began
    most, n, launching = (0.2 if rehearsal else 1.2), 0, 0.0
    began = time.perf_counter()
    while time.perf_counter() - began < most:
        launch = time.perf_counter()
        for t in range(5):
            step(x, t)
        launching += time.perf_counter() - launch
        n += 5
        _wait(device)
    seconds = (time.perf_counter() - began) / n
    line = dict(case=case.name, ms=seconds * 1e3, launching_ms=launching / n * 1e3, warm_s=warm)
    flops = _flops(case)
    if flops and not rehearsal:
        line["tflop_per_second"] = flops / seconds / 1e12
    if device.type == "cuda":
        line["memory_mib"] = torch.cuda.max_memory_reserved(device) >> 20
        if case.mode == "eager":
            line |= kernels(lambda: step(x, 0), device)
        del model, step, x
        torch.cuda.empty_cache()
    return line


def kernels(work: Any, device: torch.device) -> dict[str, Any]:
    """Return how many kernels one step launches, and the milliseconds in which they run."""
    activities = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    try:
        with torch.profiler.profile(activities=activities) as profile:
            work()
            _wait(device)
        on_gpu = [e for e in profile.events() if e.device_type == torch.autograd.DeviceType.CUDA]
        busy = sum(event.device_time_total for event in on_gpu) / 1e3
        return dict(kernels=len(on_gpu), kernels_ms=busy)
    except Exception as error:  # a profiler that does not work here costs no timing
        return dict(profiler=f"{type(error).__name__}: {error}"[:200])


def at_once(options: argparse.Namespace) -> dict[str, Any]:
    """Return the steps a second of one process, and of several at once in the same seconds."""
    found: dict[str, Any] = dict(case="at once", of=MAIN.name)
    for count in (2,) if options.rehearsal else PROCESSES:
        barrier = options.out / f"barrier-{count}"
        barrier.mkdir(exist_ok=True)
        command = [sys.executable, __file__, "--group", "child", "--out", str(barrier)]
        command += ["--device", options.device, "--count", str(count)]
        command += ["--rehearsal"] if options.rehearsal else []
        children = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        try:
            printed = [child.communicate(timeout=options.seconds)[0] for child in children]
        except subprocess.TimeoutExpired:
            for child in children:
                child.kill()
            printed = []
        rates = [float(text.split()[-1]) for text in printed if text.strip()]
        found[f"steps_per_second_of_{count}"] = rates
        for path in (*barrier.iterdir(), barrier):
            path.rmdir() if path.is_dir() else path.unlink()
    return found


def at_once_child(options: argparse.Namespace) -> None:
    """Get ready, wait for the others, and print the steps a second of the next four seconds."""
    device = pick_device(options.device)
    case = cases.timed("recorded", rehearsal=True)[0] if options.rehearsal else MAIN
    _, step, x = _ready(case, device, options.rehearsal)
    for t in range(graphs.WARM_UP + 2):
        step(x, t)
    _wait(device)
    (options.out / f"ready-{time.monotonic_ns()}").touch()
    until = time.monotonic() + 60
    while len(list(options.out.glob("ready-*"))) < options.count and time.monotonic() < until:
        time.sleep(0.02)
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < (0.2 if options.rehearsal else 4):
        for t in range(5):
            step(x, t)
        n += 5
        _wait(device)
    print(n / (time.perf_counter() - began))


def lines(out: Path) -> list[dict[str, Any]]:
    """Return what is in speed.jsonl."""
    path = out / "speed.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def add(out: Path, line: dict[str, Any]) -> None:
    """Add a line to speed.jsonl, and print it."""
    with (out / "speed.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line))


def _ready(case: cases.Case, device: torch.device, rehearsal: bool) -> tuple[Any, graphs.Step, Any]:
    """Return a model, its step in the case's mode, and a batch of noise."""
    e = case.experiment(rehearsal)
    torch.backends.cudnn.benchmark = "benchmark" in case.mode
    precision = "fp32" if device.type == "cpu" else case.precision
    model = model_of(e)(e, device, precision, compiled="compiled" in case.mode)
    step = graphs.step_of(model, "recorded" in case.mode)
    return model, step, torch.rand(e.batch_size, 1, e.size, e.size, device=device) * 2 - 1


def _flops(case: cases.Case) -> float | None:
    """Return the operations of a step, which pack.py counted."""
    path = ROOT / "flops.json"
    counted = json.loads(path.read_text()) if path.exists() else {}
    return counted.get(f"{case.model} {case.size} {case.batch}")


def _wait(device: torch.device) -> None:
    """Wait until the GPU has done all that was launched."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
