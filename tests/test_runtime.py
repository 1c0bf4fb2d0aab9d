"""What a run says of its machine, and what train() and the command settle for the process: the heap is kept."""

import ctypes
import platform
import subprocess
import sys

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from hagan_lite.system import runtime

GLIBC = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
FAULTS = """
import resource
{first}
import torch
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):  # the first ones grow the heap
        torch.ones(50_000_000)  # 200 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""
KEEP = "from hagan_lite.system.runtime import keep_heap; keep_heap()"


def python(source):
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(not GLIBC, reason="only glibc gives blocks back")
def test_a_large_block_that_was_freed_is_used_again_without_page_faults():
    assert int(python(FAULTS.format(first=""))) > 1_000
    assert int(python(FAULTS.format(first=KEEP))) < 100


@pytest.mark.skipif(not GLIBC, reason="only glibc gives blocks back")
def test_in_a_notebook_too_whatever_was_imported_first():
    source = FAULTS.format(first=f"import torch; {KEEP}")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    done = NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    assert int(done.cells[0].outputs[-1].text) < 100


@pytest.mark.parametrize(("system", "libc"), [("Darwin", ""), ("Windows", ""), ("Linux", "musl")])
def test_on_other_systems_nothing_is_touched(monkeypatch, system, libc):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, "1"))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_: pytest.fail("a C library was opened"))
    runtime.keep_heap()


def test_a_run_says_on_which_processor_it_was_made():
    assert runtime.processor()
    assert runtime.provenance(torch.device("cpu"))["processor"] == runtime.processor()
