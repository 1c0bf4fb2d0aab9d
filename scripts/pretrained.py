"""Make data/checkpoints/NAME from a finished run and its record.

    python scripts/pretrained.py RUN

What is shipped is a run folder that every function of hagan_lite.runs reads: float16 weights, log,
record, a few snapshots and small grids of samples. Its training state stays behind.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hagan_lite import runs
from hagan_lite.lessons.pretrained import CHECKPOINTS
from hagan_lite.system.checkpoints import save_tensors
from hagan_lite.system.paths import COMMITTED
from hagan_lite.system.storage import read_json, write_json

MOST_BYTES = 3_000_000  # per file
MOMENTS, ROWS = 4, 4  # snapshots that are kept, evenly spread over phase two, and rows of each
GRIDS, SHOWN = 5, 16  # grids of samples, from the first to the last, and images of each


def halved(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return floats as float16 and whole numbers as they are."""
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


def tiles(grid: Path, size: int) -> np.ndarray:
    """Return the images (N, 1, size, size) of a grey grid that runs.save_grid wrote."""
    with Image.open(grid) as image:
        picture = np.asarray(image.convert("L"))
    rows, columns = (side // size for side in picture.shape)
    cut = picture.reshape(rows, size, columns, size).transpose(0, 2, 1, 3)
    return cut.reshape(-1, 1, size, size)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    run = parser.parse_args().run
    e, record = runs.experiment_of(run), read_json(COMMITTED / f"{run.name}.json")
    to = CHECKPOINTS / (e.data_label if e.model == "hagan" else f"{e.data_label}-{e.model}")
    card = (to / "README.md").read_text() if (to / "README.md").exists() else ""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    if card:
        (to / "README.md").write_text(card)
    for name, net in (
        ("generator", runs.load_generator(run, "cpu")),
        ("discriminator", runs.load_discriminator(run, "cpu")),
    ):
        save_tensors(to / f"{name}.safetensors", halved(net.state_dict()))
    write_json(to / "experiment.json", read_json(run / "experiment.json"))
    write_json(to / "record.json", record)
    log = [{k: v for k, v in line.items() if k != "seconds"} for line in runs.read_log(run)]
    (to / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    if snapshots := runs.load_snapshots(run):
        for i in torch.linspace(0, len(snapshots) - 1, MOMENTS).round().long().tolist():
            step, mixed = snapshots[i]
            runs.save_snapshot(to, step, mixed, ROWS)
    grids = sorted((run / "samples").glob("*.png"))
    for i in torch.linspace(0, len(grids) - 1, GRIDS).round().long().tolist():
        path = grids[i]
        runs.save_grid(to / "samples" / path.name, tiles(path, e.size)[:SHOWN])
    for path in sorted(p for p in to.rglob("*") if p.is_file()):
        print(f"{path.relative_to(CHECKPOINTS)}: {path.stat().st_size:,} bytes")
        assert path.stat().st_size <= MOST_BYTES


if __name__ == "__main__":
    main()
