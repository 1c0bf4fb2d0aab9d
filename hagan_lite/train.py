"""The loop: two phases, checkpoints, resume, log, pictures (Section III-E)."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm.auto import tqdm

from hagan_lite import runs
from hagan_lite.config import Experiment
from hagan_lite.datasets.batches import batch_indices
from hagan_lite.datasets.loading import Dataset, load_for
from hagan_lite.datasets.pixels import from_uint8
from hagan_lite.model import Model, model_of
from hagan_lite.system import checkpoints, graphs, storage
from hagan_lite.system.runtime import keep_heap, pick_device
from hagan_lite.system.stopping import stop_requests

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
    the experiment holds images out. torch compiles the networks where `compiled`. A `recorded` step
    is replayed as a CUDA graph (graphs.py); None replays it wherever the model supports it, unless
    `compiled`.

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
    training, _ = dataset.split(e.heldout, e.n_train)
    images = torch.from_numpy(dataset.images[training]).to(where)  # once, as uint8
    log_every, pictured = max(1, e.steps // 100), runs.pictured_steps(e)
    # A GPU takes 250 steps in a second or two, and a checkpoint takes nearly as long.
    save_every = pictured[0] if where.type == "cuda" else min(pictured[0], 250)

    began, spent = time.monotonic(), runs.seconds_spent(run)
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
                line = runs.log_line(done, logs | model.gates())
                _check(line, run)
            if logging:
                line["seconds"] = round(spent + time.monotonic() - began, 2)
                with storage.name_a_full_disk(run / "log.jsonl"):
                    log.write((json.dumps(line) + "\n").encode())
                bar.set_postfix(runs.in_short(line))
                if on_log:
                    on_log(line)
            if done in pictured:
                _pictures(run, model, done, images, history)
            if saving:
                _save(run, model, done)
            if saving and stopped() and not last:
                steps = f"stopped after step {done} of {e.steps}"
                raise KeyboardInterrupt(f"{steps}; run the same again and it goes on: {run}")
    runs.save_generator(run, model.averaged())


def _check(line: dict, run: Path) -> None:
    """Raise Diverged where a loss of a log line is NaN, or beyond 10,000 in either direction."""
    for name in ("d", "g"):
        # "not <=" and not ">": a comparison with NaN is never true.
        if name in line and not abs(line[name]) <= 1e4:
            raise _diverged(run, line["step"], f"loss {name} = {line[name]}")


def _diverged(run: Path, step: int, what: str) -> Diverged:
    there = (run / "checkpoint.pt").exists()
    saved = f"the last good checkpoint is kept in {run}" if there else "no checkpoint yet"
    return Diverged(
        f"step {step}: {what}; {saved}. "
        "Lower lr_g and lr_d, or look at the images: is one of them constant or corrupt?"
    )


def _pictures(run: Path, model: Model, step: int, images: torch.Tensor, history: bool) -> None:
    """Save a grid of samples, the last AttnMix batch and, with `history`, the networks."""
    draw_features = None
    if model.e.skip == "instance":
        draw_features = runs.feature_drawer(model.D, images)
    G = model.averaged()
    if history:
        runs.save_generator(run, G, step)
        if model.e.heldout and model.D is not None:
            runs.save_discriminator(run, model.D, step)
    n = 64 if model.e.size <= 64 else 16  # 64 large images fill no screen, and take DDPM minutes
    grid = runs.generate(G, model.e, n, seed=0, draw_features=draw_features)
    runs.save_grid(run / "samples" / f"step_{step:06d}.png", grid)
    if mixed := getattr(model, "mixed", None):
        runs.save_snapshot(run, step, mixed)


def _save(run: Path, model: Model, step: int) -> None:
    """Save a checkpoint if the weights are finite: no broken one overwrites a good one."""
    finite = torch.stack([weights.isfinite().all() for weights in model.parameters()])
    if not finite.all():
        raise _diverged(run, step, "a weight is NaN or infinite")
    checkpoints.save_checkpoint(run / "checkpoint.pt", model.state_dict() | {"step": step})


def _resume(run: Path, model: Model) -> int:
    """Load the checkpoint, if any; cut the log back to it. Return the number of steps done."""
    step = 0
    if (run / "checkpoint.pt").exists():
        state = checkpoints.load_checkpoint(run / "checkpoint.pt", model.device)
        step = state.pop("step")
        model.load_state_dict(state)
    lines = [json.dumps(line) + "\n" for line in runs.read_log(run) if line["step"] <= step]
    storage.write_atomically(run / "log.jsonl", lambda f: f.write("".join(lines).encode()))
    return step
