"""Run many experiments on many machines, on dask.

Each cell of a grid is one papermill execution of 09_run_experiment.
"""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hagan_lite.batch.notebooks import run_experiment
from hagan_lite.batch.progress import Cell, all_records, done, status, time_left
from hagan_lite.system.paths import RECORDS, RUNS
from hagan_lite.system.storage import read_json

if TYPE_CHECKING:
    from distributed import SpecCluster


def run_batch(
    cells: list[Cell],
    scheduler: str = "",
    workers: int = 0,
    retries: int = 2,
    say: Callable[[str], None] = print,
    device: str = "auto",
    **parameters: Any,
) -> dict[Cell, str]:
    """Runs what is not done yet, on this machine or on the workers of `scheduler`; returns {cell:
    what it failed of}.

    A notebook that raises is tried `retries` times more, each time from its checkpoint, and the
    others go on. A worker that dies is no fault of the notebook: another one goes on with its cell,
    until four died of it (dask's setting distributed.scheduler.allowed-failures). Records are what
    counts, so that after anything was killed, this driver included, the same call does what is
    left. Raises OSError where no scheduler answers.
    """
    known = done(cells, all_records())
    waiting = [c for c in cells if c not in known]
    say(f"{len(cells)} experiments, {len(known)} of them done already")
    if not waiting:
        return {}
    from distributed import (
        Client,
        as_completed,
        fire_and_forget,
    )  # half a second: only where there is something to do

    failed: dict[Cell, str] = {}
    running: dict[Any, Cell] = {}
    with contextlib.ExitStack() as stack:
        where = scheduler or stack.enter_context(local_cluster(workers, device))
        try:
            client = stack.enter_context(Client(where, timeout=20))
        except OSError as error:
            raise OSError(
                f"no scheduler at {scheduler} ({error}); 'dask scheduler' starts one, see README"
            ) from error
        if not client.nthreads():
            say(f"waiting for a worker: dask worker {scheduler} --nthreads 1")
            client.wait_for_workers(1)
        begun = {c.name: 0 for c in waiting}

        def started(event: tuple[float, str]) -> None:
            if (name := event[1]) in begun:  # another driver's cells are its own business
                say(f"{'goes on ' if begun[name] else 'started '} {name}")
                begun[name] += 1

        client.subscribe_topic("hagan", started)
        gpu = any("GPU" in w["resources"] for w in client.scheduler_info()["workers"].values())
        how = dict(retries=retries, pure=False, resources={"GPU": 1} if gpu else None)
        ended = as_completed()

        def submit() -> None:
            """As many as there are workers: what waits in a worker's queue would be blamed for its
            death.
            """
            while waiting and len(running) < max(1, len(client.nthreads())):
                cell = waiting.pop(0)
                future = client.submit(
                    run_cell, cell, RUNS, device=device, **parameters, key=cell.name, **how
                )
                if scheduler:
                    fire_and_forget(
                        future
                    )  # it outlives this driver, and the next driver finds it under its key
                running[future] = cell
                ended.add(future)

        try:
            submit()
            for future in ended:
                cell = running.pop(future)
                try:
                    record = (
                        future.result()
                    )  # if it was lost with its worker, dask asks for it again
                    outcome = f"finished {cell.name}  FD {record['metrics']['fd']:.1f}, {record['minutes']} min"
                except Exception as error:
                    failed[cell] = str(error).strip() or repr(error)
                    outcome = f"failed   {cell.name}  {failed[cell].splitlines()[-1]}"
                table = status([c for c in cells if c not in failed], all_records())
                over = int((table["state"] == "done").sum()) + len(failed)
                say(f"{outcome}  [{over}/{len(cells)}, {time_left(table, len(client.nthreads()))}]")
                submit()
        except KeyboardInterrupt:
            client.cancel(list(running), force=True)
            raise
    return failed


def run_cell(cell: Cell, root: Path, **parameters: Any) -> dict[str, Any]:
    """Execute a cell's notebook on a worker, and return the record.

    Where another driver had it done meanwhile, nothing is executed. Raises RuntimeError where the
    worker has another build folder than the driver.
    """
    from distributed import get_worker

    if root != RUNS:
        raise RuntimeError(
            f"this worker's runs are in {RUNS}, not in {root}: start it with the same HAGAN_BUILD"
        )
    record = RECORDS / f"{cell.name}.json"
    if not record.exists():
        get_worker().log_event("hagan", cell.name)
        run_experiment(cell.e, cell.run, **parameters)
    return read_json(record)


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
    # dask sets these to 1 for its workers, which would leave cores idle; what the user has set stands.
    share = os.environ.get("OMP_NUM_THREADS", str(max(1, CPU_COUNT // n)))
    threads = {
        "OMP_NUM_THREADS": share,
        "MKL_NUM_THREADS": os.environ.get("MKL_NUM_THREADS", share),
    }
    # No memory limit: it is the notebooks' kernels that have the memory, and dask does not see them.
    how = dict(nthreads=1, memory_limit=0, dashboard=False, silence_logs=logging.CRITICAL)
    specs: dict[int, dict] = {}
    for i in range(n):
        own = (
            dict(env=threads | {"CUDA_VISIBLE_DEVICES": gpus[i]}, resources={"GPU": 1})
            if gpus
            else dict(env=threads)
        )
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
