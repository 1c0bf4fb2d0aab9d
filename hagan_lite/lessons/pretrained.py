"""Load the small networks that come with the kit.

Attention maps then mean something before anything was trained.
"""

from pathlib import Path
from typing import NamedTuple

from hagan_lite.config import Experiment
from hagan_lite.discriminator import Discriminator
from hagan_lite.generator import Generator
from hagan_lite.runs.folder import experiment_of, load_discriminator, load_generator
from hagan_lite.runs.record import DISTANCES
from hagan_lite.system.paths import ROOT
from hagan_lite.system.storage import read_json

CHECKPOINTS = ROOT / "data" / "checkpoints"
"""Run folders in float16, without their training state; scripts/pretrained.py makes them from runs.

"mni152" is HAGAN, "mni152-dcgan" a small plain DCGAN.
"""


class Pretrained(NamedTuple):
    """Hold a shipped experiment, its networks in eval mode, and its run folder.

    Read log, snapshots and record of `run` as you read those of any run.
    """

    experiment: Experiment
    G: Generator
    D: Discriminator
    run: Path


def load_pretrained(name: str = "mni152", device: str = "auto") -> Pretrained:
    """Load the shipped networks called `name`; README.md beside them says how they were trained.

    G is the averaged one, D is that after the last step.

    Raises ValueError that lists what is there for another name.
    """
    there = sorted(path.parent.name for path in CHECKPOINTS.glob("*/generator.safetensors"))
    if name not in there:
        raise ValueError(
            f"no pretrained networks for {name!r}; there are: {', '.join(there) or 'none'}"
        )
    run = CHECKPOINTS / name
    return Pretrained(
        experiment_of(run), load_generator(run, device), load_discriminator(run, device), run
    )


def worth_showing(run: Path) -> Path:
    """Return `run`, or the shipped HAGAN's folder where it is a run at smoke, and print which.

    At smoke a training shows that the code runs, and its images are noise.
    """
    e = experiment_of(run)
    if e.preset != "smoke":
        print(f"shown is this run: {e.steps:,} steps on {e.data_label}")
        return Path(run)
    p = load_pretrained("mni152", "cpu")
    print(f"{e.steps} steps draw noise: shown instead is the shipped network. {in_one_line(p)}")
    return p.run


def in_one_line(p: Pretrained) -> str:
    """Return what a shipped network is and how good it is, from its record."""
    e, scores = p.experiment, read_json(p.run / "record.json")["metrics"]
    kind = next(kind for kind in DISTANCES if kind in scores)
    label, digits, _ = DISTANCES[kind]
    distance, floor = scores[f"{kind}_at_floor_n"], scores["floor"]  # of equally many images
    return (
        f"{e.model.upper()} on {e.data_label}, width {e.width}, {e.steps:,} steps: "
        f"{label} {distance:.{digits}f} (real halves: {floor:.{digits}f}), "
        f"precision {scores['precision']:.2f}, recall {scores['recall']:.2f}"
    )
