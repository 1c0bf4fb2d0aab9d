"""What a run says of its machine, and the heap that training keeps."""

import ctypes
import platform
import subprocess
import sys

import pytest
import torch

from hagan_lite.system import runtime

GLIBC = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
FAULTS = """
import resource
import torch
from hagan_lite.system.runtime import keep_heap
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.ones(50_000_000)  # 200 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
given_back = faults()
keep_heap()
faults(), faults()  # the heap grows
print(faults(), given_back)
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc gives blocks back")
def test_a_large_block_that_was_freed_is_used_again_without_page_faults():
    command = [sys.executable, "-c", FAULTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept, given_back = map(int, done.stdout.split())
    assert kept < given_back / 20


@pytest.mark.parametrize(("system", "libc"), [("Darwin", ""), ("Windows", ""), ("Linux", "musl")])
def test_on_other_systems_nothing_is_touched(monkeypatch, system, libc):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, "1"))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_: pytest.fail("a C library was opened"))
    runtime.keep_heap()


def test_a_run_says_on_which_processor_it_was_made():
    assert runtime.processor()
    assert runtime.provenance(torch.device("cpu"))["processor"] == runtime.processor()
