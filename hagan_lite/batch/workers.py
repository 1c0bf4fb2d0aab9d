"""Run many experiments on many machines, on dask.

Each cell of a grid is one papermill execution of 11_run_experiment.
"""

import contextlib
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from hagan_lite.batch.notebooks import notebook_parameters, run_cell
from hagan_lite.batch.progress import Cell, all_records, done, status, time_left
from hagan_lite.runs.record import distance_of
from hagan_lite.system.paths import RUNS

if TYPE_CHECKING:
    from distributed import Client, Future, SpecCluster


def run_batch(
    cells: list[Cell],
    scheduler: str = "",
    workers: int = 0,
    retries: int = 2,
    say: Callable[[str], None] = print,
    device: str = "auto",
    **parameters: Any,
) -> dict[Cell, str]:
    """Run the cells that are not done yet; return {cell: the reason why it failed}.

    They run on this machine, or on the workers of `scheduler`. A notebook that raises is tried
    `retries` times more, each time from its checkpoint, and the others go on. A worker that dies is
    no fault of the notebook: another one goes on with its cell, until four died of it (dask's
    setting distributed.scheduler.allowed-failures). Only records count, so that after anything was
    killed, this driver included, the same call does what is left. Raises OSError where no scheduler
    answers.
    """
    finished = done(cells, all_records())
    waiting = [cell for cell in cells if cell not in finished]
    say(f"{len(cells)} experiments, {len(finished)} of them done already")
    if not waiting:
        return {}
    # Half a second: only where there is something to do.
    from distributed import Client

    with contextlib.ExitStack() as stack:
        where = scheduler or stack.enter_context(local_cluster(workers, device))
        try:
            client = stack.enter_context(Client(where, timeout=20))
        except OSError as error:
            raise OSError(
                f"no scheduler at {scheduler} ({error}); 'dask scheduler' starts one, "
                "see docs/many-machines.md"
            ) from error
        if not client.nthreads():
            say(f"waiting for a worker: dask worker {scheduler} --nthreads 1")
            client.wait_for_workers(1)
        parameters |= dict(device=device)
        driver = _Driver(client, cells, waiting, bool(scheduler), retries, say, parameters)
        try:
            return driver.run()
        except KeyboardInterrupt:
            client.cancel(list(driver.running), force=True)
            raise


class _Driver:
    """Hand waiting cells to dask's workers, one each at a time, and say what becomes of them."""

    def __init__(
        self,
        client: "Client",
        cells: list[Cell],
        waiting: list[Cell],
        external: bool,
        retries: int,
        say: Callable[[str], None],
        parameters: dict[str, Any],
    ) -> None:
        self.client, self.cells, self.waiting, self.say = client, cells, list(waiting), say
        self.external, self.parameters = external, parameters
        self.running: dict[Future, Cell] = {}
        self.failed: dict[Cell, str] = {}
        self._starts = {cell.name: 0 for cell in waiting}
        workers = client.scheduler_info()["workers"].values()
        has_gpus = any("GPU" in worker["resources"] for worker in workers)
        resources = {"GPU": 1} if has_gpus else None
        self._how = dict(retries=retries, pure=False, resources=resources)

    def run(self) -> dict[Cell, str]:
        """Run all waiting cells; return {cell: the reason why it failed}."""
        from distributed import as_completed

        self.client.subscribe_topic("hagan", self._started)
        ended = as_completed()
        ended.update(self._submit())
        for future in ended:
            cell = self.running.pop(future)
            outcome = self._outcome(cell, future)
            going = [c for c in self.cells if c not in self.failed]
            table = status(going, all_records())
            over = int((table["state"] == "done").sum()) + len(self.failed)
            left = time_left(table, len(self.client.nthreads()))
            self.say(f"{outcome}  [{over}/{len(self.cells)}, {left}]")
            ended.update(self._submit())
        return self.failed

    def _started(self, event: tuple[float, str]) -> None:
        """Say that a cell starts, or starts again; other drivers' cells are not mentioned."""
        _, name = event
        if name in self._starts:
            self.say(f"{'goes on ' if self._starts[name] else 'started '} {name}")
            self._starts[name] += 1

    def _submit(self) -> list["Future"]:
        """Submit as many cells as there are workers, and return their futures.

        A cell that waits in a worker's queue would be blamed for the worker's death.
        """
        from distributed import fire_and_forget

        submitted = []
        while self.waiting and len(self.running) < max(1, len(self.client.nthreads())):
            cell = self.waiting.pop(0)
            how = self._how | dict(key=cell.name)
            what = dict(experiment=notebook_parameters(cell.e), driver_runs=RUNS)
            future = self.client.submit(run_cell, cell.run, **what, **self.parameters, **how)
            if self.external:
                # It outlives this driver, and the next driver finds it under its key.
                fire_and_forget(future)
            self.running[future] = cell
            submitted.append(future)
        return submitted

    def _outcome(self, cell: Cell, future: "Future") -> str:
        """Return in words how a cell ended; a failure is noted in `failed`."""
        try:
            record = future.result()  # if it was lost with its worker, dask asks for it again
            score, minutes = distance_of(record), record["minutes"]
        except Exception as error:
            reason = str(error).strip() or repr(error)
            self.failed[cell] = reason
            return f"failed   {cell.name}  {reason.splitlines()[-1]}"
        return f"finished {cell.name}  FD {score:.1f}, {minutes} min"


def local_cluster(workers: int = 0, device: str = "auto") -> "SpecCluster":
    """Return a scheduler and `workers` processes on this machine, one cell each at a time.

    They can be reached from nowhere else.

    With CUDA each worker has one GPU to itself, and there are as many as GPUs unless fewer are
    asked for; without, one, and the cores are shared out among them. Raises ValueError for more
    workers than GPUs. The workers are spawned: a script that starts them keeps its own work under
    ``if __name__ == "__main__"``.
    """
    from dask.system import CPU_COUNT  # of this process: containers and affinity count
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = _gpus(device)
    n = workers or len(gpus) or 1
    if gpus and n > len(gpus):
        raise ValueError(
            f"--workers {n}: there are {len(gpus)} GPUs, and each worker has one to itself"
        )
    # dask sets these to 1 for its workers, which would leave cores idle. The user's values stand.
    share = os.environ.get("OMP_NUM_THREADS", str(max(1, CPU_COUNT // n)))
    threads = {
        "OMP_NUM_THREADS": share,
        "MKL_NUM_THREADS": os.environ.get("MKL_NUM_THREADS", share),
    }
    # No memory limit: the memory is that of the notebooks' kernels, which dask does not see.
    how = dict(nthreads=1, memory_limit=0, dashboard=False, silence_logs=logging.CRITICAL)
    specs: dict[int, dict] = {}
    for i in range(n):
        own = dict(env=threads)
        if gpus:
            own = dict(env=threads | {"CUDA_VISIBLE_DEVICES": gpus[i]}, resources={"GPU": 1})
        specs[i] = dict(cls=Nanny, options=how | own)
    there = dict(
        cls=Scheduler,
        options=dict(host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"),
    )
    return SpecCluster(workers=specs, scheduler=there, silence_logs=logging.CRITICAL)


def _gpus(device: str) -> list[str]:
    """Return the names of the GPUs that this process sees, as CUDA_VISIBLE_DEVICES has them.

    There are none where another device is asked for.
    """
    n = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (visible.split(",") if visible else [str(i) for i in range(n)])[:n]
