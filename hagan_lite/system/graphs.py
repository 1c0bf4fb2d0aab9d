"""A training step recorded as a CUDA graph: one launch for all of its kernels.

A step of HAGAN is 1,309 kernels, and at 64x64 a fast GPU finishes each before the host has launched
the next: on an H100 they take 6 ms and launching them 31 ms. torch.compile cannot take the whole
step: it breaks at each draw from a torch.Generator, and its own CUDA graphs
(mode="reduce-overhead") end where its graphs do. So the step is recorded by hand here, whether the
networks in it are compiled or not. Measurements are in docs/gpu.md.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor

Logs = dict[str, Tensor]
Step = Callable[[Tensor, int], Logs]

WARM_UP = 3
"""Steps of each path that run as they are: they make the optimisers' state and choose kernels."""


def can_record(model: Any) -> bool:
    """Return True on CUDA for a Model whose `by_phase` is True: its step can be recorded."""
    return model.device.type == "cuda" and model.by_phase


def step_of(model: Any, recorded: bool | None) -> Step:
    """Return a Model's step; with `recorded` one that is recorded on CUDA and then replayed.

    None records it wherever that is possible and nothing is compiled. Where a step shall be
    recorded and cannot be, a warning says so.
    """
    if recorded is None:
        recorded = can_record(model) and model._G is model.G
    if not recorded:
        return model.step
    if not can_record(model):
        warnings.warn(
            f"{model.e.model} on {model.device.type}: its step is not recorded as a CUDA graph",
            stacklevel=2,
        )
        return model.step
    return RecordedStep(model, CudaGraph, torch.cuda.Stream(model.device))


def path_of(model: Any, t: int) -> Hashable:
    """Return what step t of a model depends on: its phase, and in phase two the ramp of beta2."""
    phase_two = model.is_phase_two(t)
    ramp = model.ramp_at(t) if phase_two else 1.0
    return phase_two, ramp


class RecordedStep:
    """Take a model's steps: the first of each path as they are, the others by replaying a record.

    All are the steps of the training, in their order: recording one does not execute it. Logs, and
    what the model keeps of a step (`for_entropy`, `mixed`), are the record's own tensors, which the
    next replay overwrites. `record(step, model, stream)` returns what replays `step`: CudaGraph, or
    a stand-in of the tests. Raises ValueError for a batch of another shape than the first one's.
    """

    def __init__(self, model: Any, record: Callable, stream: Any) -> None:
        self.model, self.record, self.stream = model, record, stream
        self.x: Tensor | None = None  # the batch that a replay reads
        self.taken: Counter[Hashable] = Counter()
        self.records: dict[Hashable, Callable[[], Logs]] = {}

    def __call__(self, x: Tensor, t: int) -> Logs:
        path = path_of(self.model, t)
        if self.taken[path] < WARM_UP:
            self.taken[path] += 1
            return _beside(self.stream, lambda: self.model.step(x, t))
        if self.x is None:
            self.x = x.clone()
        if x.shape != self.x.shape:
            raise ValueError(
                f"a batch of shape {tuple(x.shape)}: the step was recorded for "
                f"{tuple(self.x.shape)}"
            )
        if path not in self.records:
            batch = self.x
            self.records[path] = self.record(
                lambda: self.model.step(batch, t), self.model, self.stream
            )
        self.x.copy_(x)
        return self.records[path]()


def _beside(stream: Any, step: Callable[[], Logs]) -> Logs:
    """Return what `step` returns, from `stream` where there is one.

    What a step makes lazily, such as cuBLAS's workspace, belongs to a stream: the steps before the
    record are taken on the stream that it is recorded on.
    """
    if stream is None:
        return step()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        logs = step()
    torch.cuda.current_stream().wait_stream(stream)
    return logs


class CudaGraph:
    """Hold the CUDA graph of a step; a call replays it and returns its logs."""

    def __init__(self, step: Callable[[], Logs], model: Any, stream: Any) -> None:
        self.graph = torch.cuda.CUDAGraph()
        with warnings.catch_warnings():
            # Newer versions of torch find the generators by themselves, and say so.
            warnings.simplefilter("ignore")
            self.graph.register_generator_state(model.rng)
        optimisers = [o for o in (model.opt_g, model.opt_d) if o is not None]
        groups = [group for optimiser in optimisers for group in optimiser.param_groups]
        before = [group["capturable"] for group in groups]
        try:
            for group in groups:
                # Adam asks for it; set for good, it would be in the checkpoint, and on a CPU fail.
                group["capturable"] = True
            with torch.cuda.graph(self.graph, stream=stream):
                self.logs = step()
        finally:
            for group, value in zip(groups, before, strict=True):
                group["capturable"] = value

    def __call__(self) -> Logs:
        self.graph.replay()
        return self.logs
