"""The loop: two phases, checkpoints, resume, log, pictures (Section III-E)."""

import functools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm.auto import tqdm

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.datasets.loading import Dataset, load_for
from hagan_lite.datasets.pixels import from_uint8
from hagan_lite.model import Logs, Model, model_of
from hagan_lite.system import graphs, storage
from hagan_lite.system.runtime import keep_heap, pick_device
from hagan_lite.system.stopping import stop_requests

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of lambda - lambda_0 within a batch, in this order, in the log's field "shift"."""


OnLog = Callable[[dict], None] | None
"""What gets each line of the log as it is written."""


class Diverged(RuntimeError):
    """Say that the loss became NaN or exploded; the last good checkpoint is kept."""


def train(
    e: Experiment,
    run: Path | None = None,
    dataset: Dataset | None = None,
    device: str = "auto",
    precision: str = "auto",
    compiled: bool = False,
    on_log: OnLog = None,
    history: bool = False,
    recorded: bool | None = None,
) -> Path:
    """Train `e`, or go on where an earlier call stopped, and return the run folder.

    A run that was stopped (Ctrl-C, SIGTERM, SIGKILL, a crash) and resumed ends with the same
    weights, bit for bit on the CPU, as one that ran through. `on_log` gets each log line; `device`,
    `precision`, `compiled` and `recorded` are no part of the experiment, nor is `history`, which
    saves a generator after every tenth of the steps for the learning curve, and D beside it where
    the experiment holds images out. torch compiles the networks where `compiled`; a `recorded` step
    is replayed as a CUDA graph (graphs.py), None: wherever it can be and nothing is compiled.

    Raises Diverged, KeyboardInterrupt (after saving), ValueError for a folder of another run,
    RuntimeError where another process trains there.
    """
    keep_heap()
    dataset = load_for(e) if dataset is None else dataset
    run = runs.run_dir(e, dataset) if run is None else Path(run)
    where = pick_device(device)
    with storage.only_writer(run):
        runs.open_run(run, e, dataset, where, precision)
        if not runs.finished(run):
            model = model_of(e)(e, where, precision, compiled)
            _train(model, graphs.step_of(model, recorded), run, dataset, on_log, history)
    return run


def _train(
    model: Model, step: graphs.Step, run: Path, dataset: Dataset, on_log: OnLog, history: bool
) -> None:
    e, where = model.e, model.device
    start = _resume(run, model)
    # The training part moves to the device once, as uint8.
    images = torch.from_numpy(dataset.images[dataset.split(e.heldout, e.n_train)[0]]).to(where)
    log_every, picture_every = max(1, e.steps // 100), max(5, e.steps // 10)
    # A GPU takes 250 steps in a second or two, and a checkpoint takes nearly as long.
    save_every = picture_every if where.type == "cuda" else min(picture_every, 250)

    began, spent = time.monotonic(), _seconds_spent(run)
    title = f"{e.model} on {e.data_label}"
    bar = tqdm(total=e.steps, initial=start, desc=title, unit="step", leave=False)
    with stop_requests() as stopped, bar, open(run / "log.jsonl", "ab", buffering=0) as log:
        for t in range(start, e.steps):
            index = batch_indices(len(images), e.batch_size, e.seed, t)
            x = from_uint8(images[index.to(where, non_blocking=True)])
            logs = step(x, t)
            done = t + 1
            bar.update()
            last = done == e.steps
            logging = last or done % log_every == 0
            saving = last or done % save_every == 0 or stopped()
            if logging or saving:  # losses are checked before every save
                line = _log_line(done, logs | model.gates())
                _check(line, run)
            if logging:
                line["seconds"] = round(spent + time.monotonic() - began, 2)
                with storage.name_a_full_disk(run / "log.jsonl"):
                    log.write((json.dumps(line) + "\n").encode())
                bar.set_postfix(runs.in_short(line))
                if on_log:
                    on_log(line)
            if last or done % picture_every == 0:
                _pictures(run, model, done, images, history)
            if saving:
                _save(run, model, done)
            if saving and stopped() and not last:
                steps = f"stopped after step {done} of {e.steps}"
                raise KeyboardInterrupt(f"{steps}; run the same again and it goes on: {run}")
    runs.save_generator(run, model.averaged())


def batch_indices(n: int, batch: int, seed: int, t: int) -> torch.Tensor:
    """Return which images step t trains on: (batch,) indices into n images.

    They are the stream of all epochs' permutations, cut into batches: every image comes equally
    often, also where n is no multiple of the batch or smaller than it. The stream depends on seed
    and t alone, so a resumed run needs no state for it.
    """
    positions = range(t * batch, (t + 1) * batch)
    return torch.tensor([_permutation(n, seed, p // n)[p % n] for p in positions])


@functools.lru_cache(maxsize=8)
def _permutation(n: int, seed: int, epoch: int) -> list[int]:
    rng = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(n, generator=rng).tolist()


def _log_line(step: int, logs: Logs) -> dict:
    """Return scalars as floats, rounded to 6 digits, and the batch of shifts as its quantiles.

    There is one transfer from the device.
    """
    logs = dict(logs)
    shift = logs.pop("shift", None)
    values = [value.float().reshape(1) for value in logs.values()]
    if shift is not None:
        quantiles = torch.tensor(QUANTILES, device=shift.device)
        values.append(shift.float().quantile(quantiles))
    numbers = [float(f"{number:.6g}") for number in torch.cat(values).tolist()]
    line = {"step": step} | dict(zip(logs, numbers, strict=False))
    if shift is not None:
        line["shift"] = numbers[len(logs) :]
    return line


def _check(line: dict, run: Path) -> None:
    """Raise Diverged where a loss of a log line is NaN or above 10,000."""
    bad = [k for k in ("d", "g") if k in line and not abs(line[k]) <= 1e4]
    if not bad:
        return
    there = (run / "checkpoint.pt").exists()
    saved = f"the last good checkpoint is kept in {run}" if there else "no checkpoint yet"
    raise Diverged(
        f"step {line['step']}: loss {bad[0]} = {line[bad[0]]}; {saved}. "
        "Lower lr_g and lr_d, or look at the images: is one of them constant or corrupt?"
    )


def _pictures(run: Path, model: Model, step: int, images: torch.Tensor, history: bool) -> None:
    """Save a grid of samples, the last AttnMix batch and, with `history`, the networks."""
    skip = runs.real_features(model.D, images) if model.e.skip == "instance" else None
    G = model.averaged()
    if history:
        runs.save_generator(run, G, step)
        if model.e.heldout and model.D is not None:
            runs.save_discriminator(run, model.D, step)
    grid = runs.generate(G, model.e, 64, seed=0, skip=skip)
    runs.save_grid(run / "samples" / f"step_{step:06d}.png", grid)
    if mixed := getattr(model, "mixed", None):
        runs.save_snapshot(run, step, mixed)


def _save(run: Path, model: Model, step: int) -> None:
    """Save a checkpoint if the weights are finite: no broken one overwrites a good one."""
    finite = torch.stack([weights.isfinite().all() for weights in model.parameters()])
    if not finite.all():
        _check({"step": step, "g": math.nan}, run)
    storage.save_checkpoint(run / "checkpoint.pt", model.state_dict() | {"step": step})


def _resume(run: Path, model: Model) -> int:
    """Load the checkpoint, if any; cut the log back to it. Return the number of steps done."""
    step = 0
    if (run / "checkpoint.pt").exists():
        state = storage.load_checkpoint(run / "checkpoint.pt", model.device)
        step = state.pop("step")
        model.load_state_dict(state)
    lines = [json.dumps(line) + "\n" for line in runs.read_log(run) if line["step"] <= step]
    storage.write_atomically(run / "log.jsonl", lambda f: f.write("".join(lines).encode()))
    return step


def _seconds_spent(run: Path) -> float:
    """Return how long earlier calls trained this run, by its log."""
    lines = runs.read_log(run)
    return lines[-1]["seconds"] if lines else 0.0
