"""View a training: losses, gates, samples and mixed images of a run under one cursor."""

import asyncio
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
import traitlets
from PIL import Image

from hagan_lite.datasets.pixels import to_uint8
from hagan_lite.lessons.widgets.attnmix import SHIPPED
from hagan_lite.lessons.widgets.base import Explorer, module, one_of
from hagan_lite.runs.folder import experiment_of, finished, load_snapshots, read_log

SAMPLES, MIXED = 8, 8
"""Images of each kind that are shown."""


class TrainingViewer(Explorer):
    """Scrub through a run, the shipped one or another; `step` is where the cursor stands.

    With `follow` it looks every two seconds for what another process has trained meanwhile.
    """

    _esm = module("training")

    step = traitlets.Int(0, min=0).tag(sync=True)
    follow = traitlets.Bool(False).tag(sync=True)

    _size = traitlets.Int().tag(sync=True)
    _channels = traitlets.Int().tag(sync=True)
    _phase_two = traitlets.Int(
        None, allow_none=True, help="the step at which it starts; None where there is none"
    ).tag(sync=True)
    _last = traitlets.Int(help="the last step that is logged").tag(sync=True)
    _log = traitlets.List().tag(sync=True)
    _sample_steps = traitlets.List().tag(sync=True)
    _n_samples = traitlets.Int(SAMPLES).tag(sync=True)
    _samples = traitlets.Bytes(help="uint8 (steps, n, C, H, W)").tag(sync=True)
    _mixed_steps = traitlets.List().tag(sync=True)
    _n_mixed = traitlets.Int(MIXED).tag(sync=True)
    _reals = traitlets.Bytes(help="uint8 (steps, n, C, H, W)").tag(sync=True)
    _fakes = traitlets.Bytes(help="uint8 (steps, n, C, H, W)").tag(sync=True)
    _masks = traitlets.Bytes(help="uint8 (steps, n, H, W), 0 or 255").tag(sync=True)
    _labels = traitlets.Bytes(help="float32 (steps, n, 2): lambda_0, lambda").tag(sync=True)

    def __init__(self, run: Path = SHIPPED) -> None:
        self._run, self._task = Path(run), None
        super().__init__()
        self.observe(self._watch, "follow")
        self.refresh()

    @traitlets.validate("step")
    def _is_within_the_run(self, proposal: dict[str, Any]) -> int:
        return one_of("step", proposal["value"], self._last + 1)

    def refresh(self) -> None:
        """Look at the folder again, and go to its newest step."""
        log = read_log(self._run)
        if not log or log == self._log:
            return
        e = experiment_of(self._run)
        steps, samples = _samples(self._run, e.size, e.channels)
        # All in one message, so that the browser never draws a new log over old images.
        with self.hold_sync():
            self._size, self._channels, self._phase_two = e.size, e.channels, e.second_phase
            self._sample_steps, self._samples = steps, samples.tobytes()
            self._n_samples = samples.shape[1]
            self._take_mixed()
            self._last = self.step = log[-1]["step"]
            self._log = log

    def _take_mixed(self) -> None:
        """Take the mixed batches that the run has saved."""
        snapshots = load_snapshots(self._run)
        self._mixed_steps = [step for step, _ in snapshots]
        if not snapshots:
            return
        batches = [batch for _, batch in snapshots]
        self._n_mixed = min(MIXED, *(len(batch.mask) for batch in batches))
        n = self._n_mixed
        self._reals = b"".join(to_uint8(batch.real[:n]).tobytes() for batch in batches)
        self._fakes = b"".join(to_uint8(batch.fake[:n]).tobytes() for batch in batches)
        masks = [(255 * batch.mask[:n]).byte() for batch in batches]
        self._masks = torch.cat(masks).numpy().tobytes()
        labels = [torch.stack([batch.lambda_0, batch.lam], 1)[:n].float() for batch in batches]
        self._labels = torch.cat(labels).numpy().tobytes()

    def _watch(self, change: dict[str, Any]) -> None:
        async def look() -> None:
            while self.follow:
                self.refresh()
                if finished(self._run):
                    self.follow = False
                await asyncio.sleep(2)

        if change["new"]:
            if self._task is not None:
                self._task.cancel()  # that of an earlier tick may still be waiting
            self._task = asyncio.ensure_future(look())


def _samples(run: Path, size: int, channels: int) -> tuple[list[int], np.ndarray]:
    """Return the steps at which samples were drawn, and images (steps, n, C, H, W) uint8.

    The images are the first of each grid, row by row, at most SAMPLES of them.
    """
    paths = sorted((run / "samples").glob("step_*.png"))
    grids = []
    for path in paths:
        grid = np.asarray(Image.open(io.BytesIO(path.read_bytes())))
        rows, columns = grid.shape[0] // size, grid.shape[1] // size
        images = grid.reshape(rows, size, columns, size, channels).transpose(0, 2, 4, 1, 3)
        grids.append(images.reshape(-1, channels, size, size)[:SAMPLES])
    n = min((len(images) for images in grids), default=0)
    steps = [int(path.stem.split("_")[1]) for path in paths]
    samples = [images[:n] for images in grids]
    return steps, np.stack(samples) if samples else np.empty((0, 0, channels, size, size), np.uint8)
