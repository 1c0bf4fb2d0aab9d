"""What is measured and trained on the GPU: one list for the pack, the stages and the records."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import hagan_lite.baselines  # noqa: F401  (so that every model's experiments can be made)
from hagan_lite.config import Experiment

T = "brightness,contrast,translation"
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    "hagan": ("hagan", {}),
    "sagan-with-T": ("sagan", dict(flips=False, augment=T)),
    "base-with-T": ("dcgan", dict(flips=False, augment=T)),
    "hagan-cutmix": ("hagan", dict(mix="cutmix")),
}
"""Rows of Table IV's ladder (report/experiments.py) that are trained, by a short name."""
AT_256 = ("hagan", "sagan-with-T")
SMOKE = dict(preset="smoke", width=4, batch_size=2, steps=6, phase_two=2)
"""A rehearsal's trainings: everything happens in them, and nothing takes long."""
LARGE, LARGE_REHEARSED = 256, 128
"""Pixels a side of the larger images."""


def runs_of(stage: int, rehearsal: bool = False, steps_256: int = 4000) -> dict[str, Experiment]:
    """Return the trainings of stages 3, 4 and 5 by name, the most important first.

    At 256x256 the preset's 198,000 steps take longer than any loan: those runs have `steps_256`
    steps, the first tenth of them in phase one, as in the preset. A rehearsal's are at smoke.
    """
    dataset = "acdc" if stage == 5 else "covid-ct"
    made = {}
    for name in AT_256 if stage == 4 else RECIPES:
        model, changes = RECIPES[name]
        changes = dict(dataset=dataset, preset="paper") | changes
        if stage == 4:
            side = LARGE_REHEARSED if rehearsal else LARGE
            changes |= dict(size=side, steps=steps_256, phase_two=steps_256 // 10)
        if rehearsal:
            changes |= SMOKE
        size = LARGE if stage == 4 else 64
        made[f"{dataset}-{size}-{name}"] = Experiment.make(model, **changes)
    return dict(list(made.items())[:2]) if rehearsal and stage == 5 else made


@dataclass(frozen=True)
class Case:
    """One step that is timed, always in phase two."""

    model: str
    size: int
    batch: int
    mode: str = "eager"  # or recorded, compiled, benchmark (cuDNN chooses by trying), + between
    precision: str = "bf16"

    @property
    def name(self) -> str:
        """Return the name of the case in speed.jsonl."""
        return (
            f"{self.model} {self.size}x{self.size} batch {self.batch} {self.mode} {self.precision}"
        )

    def experiment(self, rehearsal: bool = False) -> Experiment:
        """Return the experiment whose step is timed."""
        size, batch = self.size, self.batch
        narrow = dict(width=4) if rehearsal else {}
        changes = dict(size=size, batch_size=batch, z_dim=100 if size == 64 else 1000) | narrow
        return Experiment.make(self.model, "covid-ct", "paper", phase_two=0, **changes)


STEPS = [
    Case(model, size, batch)
    for size, batch in ((64, 32), (256, 2), (256, 16))
    for model in ("hagan", "sagan", "dcgan")
]


def timed(group: str, rehearsal: bool = False) -> list[Case]:
    """Return the cases of "eager", "recorded" or "compiled", the most important first."""
    if rehearsal:
        return [Case("hagan", 64, 2, group)]
    mode = "compiled+recorded" if group == "compiled" else group
    listed = [dataclasses.replace(case, mode=mode) for case in STEPS]
    first = listed[0]
    if group == "recorded":
        listed.append(dataclasses.replace(first, mode="recorded+benchmark"))
    if group == "compiled":
        listed.insert(1, dataclasses.replace(first, mode="compiled"))
    return listed + [dataclasses.replace(case, precision="fp32") for case in listed]
