"""Check the benchmark: what it compares computes the same, what it counts is there."""

import importlib.util
import json
import math
import platform
import subprocess
import sys

import pytest
import torch

from hagan_lite import augment
from hagan_lite.config import AUGMENTATIONS
from hagan_lite.system.paths import ROOT

BENCH = ROOT / "tests" / "bench"


@pytest.fixture(autouse=True)
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))


TINY = dict(model="hagan", preset="smoke", width=8, batch=4, steps=8)


@pytest.mark.parametrize(
    "name", ["fused attention", "channels_last", "no pass twice", "no .item() in the step"]
)
def test_the_step_without_a_measure_computes_the_same(name):
    import measure
    import naive

    (fast, x), (slow, _) = measure.build(**TINY), measure.build(**TINY)
    for model in (fast, slow):
        for layer in model.G.attention.values():
            layer.gamma.data.fill_(0.5)
    step = naive.MEASURES[name](slow)
    for t in range(3):
        wanted, result = fast.step(x, t), step(x, t)
        for key in wanted:
            close = (
                0.05 if name == "no pass twice" else 2e-3
            )  # spectral norm moves a little with every pass
            torch.testing.assert_close(result[key], wanted[key], atol=close, rtol=close)


def test_steps_with_T_and_masks_in_loops_go_through_both_phases():
    import measure
    import naive

    model, x = measure.build(**TINY)
    step = naive.MEASURES["batched T and masks"](model)
    assert all(step(x, t)["d"].isfinite().all() for t in (0, model.e.steps - 1))


def test_T_in_a_loop_is_T():
    import measure
    import naive

    model, x = measure.build(**TINY)
    T = augment.draw(4, 64, AUGMENTATIONS, torch.Generator().manual_seed(0))
    wanted, seen = T(x), []
    model.step = lambda x, t: seen.append(T(x))
    naive.python_loops(model)(x, 0)
    torch.testing.assert_close(seen[0], wanted)


def test_flops_are_those_of_the_equations():
    """Attention's, by hand: (d + C) N^2 multiply-accumulates forward, twice that backward; one pass
    of G a step.
    """
    import measure

    def step_flops(**changes):
        return measure.counted_flops(
            *measure.build(**(TINY | dict(model="sagan", augment="") | changes))
        )

    added = step_flops() - step_flops(model="dcgan")
    wanted = 0
    for channels, side in ((16, 16), (8, 32)):  # width 8: levels of 16x16 and 32x32
        N, d = side * side, channels // 8
        product, convolutions = 2 * N * N * (d + channels), 2 * N * channels * (2 * d + channels)
        wanted += 4 * (product + convolutions) * (1 + 2)
    assert added == wanted


def test_a_model_is_built_on_a_heap_that_is_kept(monkeypatch):
    """train() keeps it, and a benchmark that did not would time another training."""
    import measure

    calls = []
    monkeypatch.setattr(measure.runtime, "keep_heap", lambda: calls.append("kept"))
    measure.build(**TINY)
    assert calls == ["kept"]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="there is no such heap to keep")
def test_a_step_is_timed_with_and_without_the_heap_that_is_kept():
    """bench's NO_GLIBC turns keep_heap() off in a process: mallopt is then never called."""
    script = f"""
import ctypes
from hagan_lite.system.runtime import keep_heap  # and torch, which loads libraries of its own
seen = []
class Libc:
    def mallopt(self, *words): seen.append(words)
ctypes.CDLL = lambda name: Libc()
keep_heap()
assert len(seen) == 2, seen
{load_main().NO_GLIBC}
keep_heap()
assert len(seen) == 2, seen
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def figure(name, **given):
    """Return what measure.py prints in a process of its own."""
    command = [sys.executable, BENCH / "measure.py", name, json.dumps(given)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_a_figure_is_a_process_of_its_own_that_prints_json():
    result = figure("step", n=2, **TINY)
    assert result["share_of_matmul"] == pytest.approx(
        result["gflop"] / result["seconds"] / result["matmul_gflop_per_second"]
    )
    assert all(math.isfinite(v) and v > 0 for v in result.values())


@pytest.mark.parametrize(
    ("name", "given"), [("loading", dict(images=8, batch=4)), ("extraction", dict(images=40))]
)
def test_loading_and_extraction_are_measured(name, given):
    import measure

    assert all(v > 0 for v in getattr(measure, name)(**given).values())


def test_a_measure_is_timed_with_and_without():
    import measure

    result = measure.with_and_without("fused attention", n=1, **TINY)
    assert result["times_faster"] == pytest.approx(result["without"] / result["seconds"])


def test_the_papers_setting_at_256_pixels_runs_in_6_gb():
    setting = dict(model="hagan", preset="paper", size=256, batch=2, width=64)
    assert 500 < figure("peak", **setting)["peak_mb"] <= 6 * 1024


def test_a_step_of_64_images_at_the_papers_width_takes_at_most_2_and_a_half_gb():
    setting = dict(model="hagan", width=64)
    assert 500 < figure("peak", **setting)["peak_mb"] <= 2.5 * 1024


def test_a_target_that_is_missed_is_said_to_be_missed():
    main = load_main()
    result = {
        "steps": {
            "dcgan 64": dict(share_of_matmul=0.6),
            "hagan 64": dict(share_of_matmul=0.3, peak_mb=10),
        }
    }
    assert [row["met"] for row in main.targets(result)] == [True, False, True]


def load_main():
    spec = importlib.util.spec_from_file_location("bench_main", BENCH / "__main__.py")
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    return main
