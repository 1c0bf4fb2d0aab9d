"""What a run says of its machine, and the heap that training keeps."""

import ctypes
import platform
import subprocess
import sys

import pytest
import torch

from hagan_lite.system import runtime

GLIBC = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
HEAP = """
import ctypes
import torch
from hagan_lite.system.runtime import keep_heap, release_heap
class Info(ctypes.Structure):  # malloc.h: struct mallinfo2
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keep".split()]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
def mapped_and_kept():
    large = torch.ones(50_000_000)  # 200 MB
    mapped = libc.mallinfo2().hblkhd
    del large
    return mapped, libc.mallinfo2().fordblks
print(*mapped_and_kept())
keep_heap()
print(*mapped_and_kept())
release_heap()
print(*mapped_and_kept())
"""


@pytest.mark.skipif(not GLIBC, reason="only glibc gives blocks back")
@pytest.mark.skipif(GLIBC and not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="glibc < 2.33")
def test_a_large_block_that_was_freed_stays_in_the_heap():
    """glibc maps a block of 200 MB for itself and hands it back; kept, it does neither."""
    command = [sys.executable, "-c", HEAP]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    first, kept, released = (map(int, line.split()) for line in done.stdout.splitlines())
    (mapped, left), (still_mapped, stays), (mapped_again, _) = first, kept, released
    assert mapped >= 200_000_000 > left
    assert still_mapped < 200_000_000 <= stays
    assert mapped_again >= 200_000_000


@pytest.mark.parametrize(("system", "libc"), [("Darwin", ""), ("Windows", ""), ("Linux", "musl")])
def test_on_other_systems_nothing_is_touched(monkeypatch, system, libc):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, "1"))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_: pytest.fail("a C library was opened"))
    runtime.keep_heap()
    runtime.release_heap()


def test_a_run_says_on_which_processor_it_was_made():
    assert runtime.processor()
    assert runtime.provenance(torch.device("cpu"))["processor"] == runtime.processor()
