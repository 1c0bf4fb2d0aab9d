"""What is measured and trained on the GPU: one list for the pack, the stages and the records."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hagan_lite.baselines  # noqa: F401  (so that every model's experiments can be made)
from hagan_lite.config import Experiment
from hagan_lite.report import experiments
from hagan_lite.report.experiments import LONGER, WITH_T, ladder

SMOKE = dict(preset="smoke", width=4, batch_size=2, steps=6, phase_two=2)
"""A rehearsal's trainings: everything happens in them, and nothing takes long."""
LARGE, LARGE_REHEARSED = 256, 128
"""Pixels a side of the larger images."""


@dataclass(frozen=True)
class Case:
    """Describe one step that is timed, always in phase two."""

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


@dataclass(frozen=True)
class Cell:
    """Describe one training of stage 3, and what is carried back beside its record."""

    experiment: Experiment
    curve: bool = False  # the distance over the training
    bring: str = ""  # "grid", "samples" (all images) or "run" (what a shipped network needs)

    def to_dict(self) -> dict[str, Any]:
        """Return what grid.json has of the cell."""
        return dict(experiment=self.experiment.to_dict(), curve=self.curve, bring=self.bring)


Models = Sequence[tuple[str, dict[str, Any]]]

FOUR: Models = (("hagan", {}), ("sagan", WITH_T), ("sagan", {}), ("dcgan", WITH_T))
"""The models of the headline: HAGAN, SAGAN with T and without, the base model with T."""
OTHERS: Models = [(name, {}) for name in ("dcgan", "wgan", "infogan", "unetgan")]
DDPM: Models = [("ddpm", {})]
SKIP = ("+ AttnMix generator", "+ reverse skip")
"""Rows of Table IV whose curves say whether the reverse skip makes training faster."""
FIRST_ROWS = (*SKIP, "+ hierarchical discriminator", "hagan, CutMix's label")
FIRST_ROWS += ("hagan, no pixel branch", "hagan without T")
"""Rows of Table IV that come before the others: its steps with T, and controls of the last."""
FIRST_SEED = 10
LONG: Models = (
    ("hagan", {}),
    ("sagan", WITH_T),
    ("dcgan", WITH_T),
    ("hagan", dict(mix="cutmix")),
    ("hagan", dict(saliency="received")),
)


def grid() -> list[Cell]:
    """Return all trainings of stage 3, the most important first.

    They are what the tables, the claims and the shipped networks need. A machine that is lent for
    minutes takes as many as it has time for. Among equals the longest stand first, so that none is
    cut off at the end. Its seeds start at FIRST_SEED, so that its runs share no first weights with
    those of another machine; the preset paper and the shipped networks alone begin with seed 0.
    """
    make, at = Experiment.make, FIRST_SEED
    with_t = (FOUR[0], FOUR[1], FOUR[3])
    cells = [
        Cell(make(model, "covid-ct", "paper", seed=seed, **changes), True, "samples")
        for seed in (0, at)
        for model, changes in with_t
    ]
    cells += [Cell(make("hagan", steps=steps), True, "run") for steps in (5000, 10_000)]
    cells += [Cell(make("dcgan", width=16, steps=5000), True, "run")]
    cells += [Cell(e, True, "grid") for e in rows(LONG, "covid-ct", at, steps=LONGER)]
    cells += _cells(rows(LONG, "covid-ct", at + 1, at + 2, steps=LONGER), curve=True)
    cells += [Cell(e, True, "grid") for e in rows(with_t, "acdc", at, steps=LONGER)]
    cells += _cells(rows(with_t, "acdc", at + 1, at + 2, steps=LONGER), curve=True)
    cells += [Cell(e, bring="grid") for e in at_256("acdc", at) + at_256("covid-ct", at)]
    for dataset in ("covid-ct", "acdc", "lgg"):
        cells += [Cell(e, bring="samples") for e in rows(DDPM, dataset, at)]
    cells += [Cell(e, bring="samples") for e in rows(FOUR, "covid-ct", at)]
    cells += _cells(rows(FOUR, "covid-ct", at + 1, at + 2))
    cells += [Cell(e, bring="samples") for e in rows(FOUR[:2], "acdc", at)]
    cells += _cells(rows(FOUR[2:], "acdc", at) + rows(FOUR, "acdc", at + 1))
    cells += _cells(rows(FOUR, "lgg", at, at + 1))
    cells += _cells(watched(at, steps=LONGER) + watched(at) + few_images(at), curve=True)
    cells += _cells(rungs(FIRST_ROWS, at, at + 1))
    cells += _cells(rungs(SKIP, at + 3, at + 4, at + 5), curve=True)
    cells += _cells(rows(FOUR, "acdc", at + 2) + rows(FOUR, "lgg", at + 2))
    cells += [Cell(e, bring="grid") for e in at_256("acdc", at + 1) + at_256("covid-ct", at + 1)]
    cells += _cells(watched(at + 1, steps=LONGER) + few_images(at + 1), curve=True)
    every_row = tuple(name for name, _ in ladder("covid-ct", "cpu"))
    cells += _cells(rungs(every_row, at, at + 1, at + 2))
    for dataset in ("covid-ct", "acdc", "lgg"):
        cells += _cells(rows(OTHERS, dataset, at, at + 1))
    once: dict[str, Cell] = {}
    for cell in cells:
        once.setdefault(cell.experiment.hash, cell)
    return list(once.values())


def without_record(cells: list[Cell], records: list[dict[str, Any]]) -> list[Cell]:
    """Return the cells whose experiment none of the records has, in their order."""
    recorded = {record["hash"] for record in records}
    return [cell for cell in cells if cell.experiment.hash not in recorded]


def rehearsed() -> list[Cell]:
    """Return two short cells for a rehearsal: one of another model, one with everything."""
    changes = dict(dataset="covid-ct") | SMOKE
    few = dict(heldout=0.4, n_train=6)
    return [
        Cell(Experiment.make("hagan", **changes | few), curve=True, bring="run"),
        Cell(Experiment.make("wgan", **changes), bring="samples"),
    ]


def rows(models: Models, dataset: str, *seeds: int, **more: Any) -> list[Experiment]:
    """Return (model, changes) on a data set at the preset cpu, seed by seed."""
    return [
        Experiment.make(model, dataset, "cpu", seed=seed, **(changes | more))
        for seed in seeds
        for model, changes in models
    ]


def rungs(names: Sequence[str], *seeds: int) -> list[Experiment]:
    """Return rows of Table IV by their names, on COVID-CT at the preset cpu, seed by seed."""
    return [dict(ladder("covid-ct", "cpu", seed))[name] for seed in seeds for name in names]


def _cells(experiments: list[Experiment], curve: bool = False) -> list[Cell]:
    return [Cell(e, curve) for e in experiments]


def few_images(seed: int) -> list[Experiment]:
    """Return HAGAN and its rivals with T on few images and on more, a fifth always held out."""
    return [e for _, e in experiments.few_images("cpu", seed)]


def watched(seed: int, **changes: Any) -> list[Experiment]:
    """Return the models whose D is asked about held-out images over the training."""
    return [e for _, e in experiments.watched("covid-ct", "cpu", seed, **changes)]


def at_256(dataset: str, seed: int) -> list[Experiment]:
    """Return Table III's rows of HAGAN and SAGAN with T on a data set, at the preset cpu."""
    return rows(FOUR[:2], dataset, seed, **experiments.at_256("cpu"))
