"""One frozen Experiment names every choice that decides a result (Sections III and IV of the paper)."""

import dataclasses
import functools
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hagan_lite.paper import PAPER_IMAGES, paper_name

DATASETS = {
    "mni152": "axial slices of the MNI152 T1 template (embedded: nilearn ships it)",
    "mni152-all": "axial, coronal and sagittal slices of the MNI152 T1 template (embedded)",
    "covid-ct": "chest CT images without COVID-19, COVID-CT-Dataset",
    "covid-ct-396": "the first 396 of them by name, as many as the paper used",
    "acdc": "short-axis cine-MRI of 100 hearts at end diastole and end systole, ACDC",
    "acdc-1798": "the first 1798 of these slices, as many as the paper used",
    "brats2018": "T1 MRI with contrast of 285 brains with glioma, BraTS 2018",
    "brats2018-t1": "the same in T1",
    "brats2018-t2": "the same in T2",
    "brats2018-flair": "the same in FLAIR",
    "lgg": "FLAIR MRI of 110 brains with lower-grade glioma, LGG MRI Segmentation (not in the paper)",
}

MODELS = ("hagan", *sorted(p.stem for p in (Path(__file__).parent / "baselines").glob("[!_]*.py")))
"""HAGAN, and every file in baselines/: a model is added by adding one (CONTRIBUTING.md, "Another model")."""

PRESETS: dict[str, dict[str, Any]] = {
    "smoke": dict(width=8, steps=20, batch_size=4, ema=0.8),  # seconds: it shows that everything runs, and nothing more
    # Five to eight minutes on two cores; on the alike slices of mni152 G needs, and stands, the paper's learning rate.
    "quick": dict(width=32, steps=500, lr_g=1e-3),
    "cpu": dict(width=32, steps=800),  # about ten minutes on two cores
    # Section IV-A; the rest depends on size and data set, see Experiment.make
    "paper": dict(width=64, lr_g=1e-3, ema=0.995),
}
_CHOICES = {
    "model": tuple(MODELS),
    "preset": tuple(PRESETS),
    "channels": (1, 3),
    "adversarial": ("ls", "ns", "hinge"),
    "mix": ("attnmix", "cutmix", "off"),
    "saliency": ("output", "received"),
    "features": ("off", "l2", "nce"),
    "skip": ("ema", "instance", "off"),
    "pixel_kernel": (1, 3),
    "border": ("edge", "black"),
}
AUGMENTATIONS = ("brightness", "contrast", "translation")


@dataclass(frozen=True)
class Experiment:
    """Every choice of one run. Make one with :meth:`make`; the defaults are HAGAN at the ``cpu`` preset.

    Where the paper leaves a choice open, the comment beside the field says so. Raises ValueError, naming the field
    and what it may be, for a value that no code path understands. A baseline's file has a subclass of it, `Choices`,
    with what that model sets otherwise and the fields that it alone has.
    """

    SETS: ClassVar[dict[str, Any]] = {}  # fields that the model sets otherwise, at every preset
    SETS_AT: ClassVar[dict[str, dict[str, Any]]] = {}  # and by preset
    ONE_OF: ClassVar[dict[str, tuple]] = {}  # what a field of the model's own may be
    AT_LEAST: ClassVar[dict[str, float]] = {}  # the least that a number of the model's own may be
    UNUSED: ClassVar[tuple[str, ...]] = ()  # fields that decide nothing in this model; they keep their defaults

    model: str = "hagan"
    dataset: str = "mni152"  # a name in DATASETS, or a folder of images
    preset: str = "cpu"  # a label; the fields below decide
    seed: int = 0
    # data
    size: int = 64  # pixels a side: a power of two from 32
    channels: int = 1  # open: grey or colour; medical images are grey, Table I counts 3
    heldout: float = 0.0  # share of the images kept from training, whole patients, volumes or blocks of slices
    flips: bool = False  # the baselines' "basic" augmentation of real images: flips and shifts by at most 1/16
    border: str = "edge"  # open: what a shift brings in, "edge" or "black"; see augment.flips_and_shifts
    # networks
    width: int = 32  # channels at the first level; the paper's is 64
    z_dim: int = 100  # z is uniform in [-1, 1]
    attention: bool = True
    skip: str = "ema"  # open: what flows back; see generator.py
    pixel_branch: bool = True
    pixel_kernel: int = 3  # open: a 1x1 branch sees single grey values only
    # AttnMix (Eq. 1-4) and T
    mix: str = "attnmix"  # the mixed label's law: "cutmix" is lambda_0 alone
    # open: which map of the last attention layer is A. "output" is how strong its output v A^T is at each pixel,
    # "received" how much each pixel is looked at. The paper's Figure 7 speaks for the first: notebook 14.
    saliency: str = "output"
    mask_beta: float = 1.0  # open: the mask's area is drawn from Beta(b, b), CutMix's law
    alpha: float = 0.5  # open: Eq. 4's normaliser; 1/2 keeps lambda a share
    augment: str = "brightness,contrast,translation"  # open: DiffAugment's policy, without cutout
    augment_shift: float = 0.125  # open: the largest translation, as a share of the image's side
    # losses (Eq. 5-8); the paper gives no weights
    adversarial: str = "ls"
    # Eq. 8, weight of the pixel branch in G's loss. At the cpu preset that branch stays near chance, and with weight 1
    # its gradient draws grain into the samples.
    beta: float = 0.1
    beta1: float = 1.0  # Eq. 7, weight of the pixel branch in D's loss
    beta2: float = 1.0  # Eq. 7, weight of the consistency terms
    mixed_weight: float = 0.5  # open: weight of the mixed image's own adversarial loss
    features: str = "off"  # open: the contrastive term of Section III-E, in two readings
    # training (Section III-E, IV-A)
    steps: int = 800
    batch_size: int = 32
    phase_two: int | None = None  # first step with T and AttnMix; None: a fifth of the steps
    # open: whether G's update draws new noise, a second pass of G, or learns from the images that D has just judged
    fresh_noise: bool = False
    ramp: int = 0  # steps over which beta2 grows from 0 after phase_two; 0: a switch
    # The paper has 1e-3 for both; the presets paper and quick keep it. In 800 steps on COVID-CT G then runs away from a
    # D that stays near chance, and seeds end far apart; a slower G brought them together (docs/results.md).
    lr_g: float = 4e-4
    lr_d: float = 1e-3
    beta_1: float = 0.5  # Adam; open
    beta_2: float = 0.999
    ema: float = 0.98  # open: average of G's parameters that is sampled; a longer one lags behind in so few steps

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Enter a baseline's `Choices` in CHOICES, under the name of its file."""
        super().__init_subclass__(**kwargs)
        CHOICES[cls.__module__.rpartition(".")[2]] = cls

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is float and type(value) is int:
                object.__setattr__(self, field.name, float(value))  # 1 and 1.0 are one experiment, with one hash
            elif not isinstance(value, field.type) or (type(value) is bool and field.type is not bool):
                kind = getattr(field.type, "__name__", field.type)
                raise ValueError(f"{field.name}={value!r}: must be of type {kind}")
        if self.model in MODELS and type(self) is not choices_of(self.model):
            raise ValueError(f"model={self.model!r}: Experiment.make({self.model!r}) makes its experiments")
        if self.phase_two is None:
            object.__setattr__(self, "phase_two", self.steps // 5)
        unused = self.UNUSED if self.mix == "attnmix" else (*self.UNUSED, "saliency")  # no label asks for a map
        for field in dataclasses.fields(self):
            if field.name in unused:
                object.__setattr__(self, field.name, field.default)
        for name, allowed in (_CHOICES | self.ONE_OF).items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(map(str, allowed))}")
        unknown = set(self.policy) - set(AUGMENTATIONS)
        if unknown:
            raise ValueError(f"augment={self.augment!r}: {', '.join(unknown)} is not one of {', '.join(AUGMENTATIONS)}")
        if self.size < 32 or self.size & (self.size - 1):
            raise ValueError(f"size={self.size}: choose a power of two from 32 (the paper's are 64 and 256)")
        if self.mix == "attnmix" and not self.attention:
            raise ValueError("mix='attnmix' needs attention=True: its label comes from the generator's attention map")
        most = math.nextafter(math.inf, 0)
        ranges = dict(heldout=(0, 0.9), augment_shift=(0, 0.5), alpha=(0, 0.5), phase_two=(0, self.steps))
        ranges |= dict.fromkeys(("ema", "beta_1", "beta_2"), (0, 1)) | {"mask_beta": (0.01, most)}
        ranges |= dict.fromkeys(("lr_g", "lr_d", "beta", "beta1", "beta2", "mixed_weight", "ramp"), (0, most))
        ranges |= dict.fromkeys(("steps", "batch_size", "width", "z_dim"), (1, most))
        ranges |= {name: (low, most) for name, low in self.AT_LEAST.items()}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                bounds = f"at least {low}, and finite" if high == most else f"in [{low}, {high}]"
                raise ValueError(f"{name}={getattr(self, name)}: must be {bounds}")

    @classmethod
    def make(cls, model: str = "hagan", dataset: str = "mni152", preset: str = "cpu", **changes: Any) -> "Experiment":
        """The preset, then what the model sets otherwise, then `changes`: the later wins. `changes` are fields."""
        if preset not in PRESETS:
            raise ValueError(f"preset={preset!r}: choose one of {', '.join(PRESETS)}")
        kind = choices_of(model)
        unknown = set(changes) - {f.name for f in dataclasses.fields(kind)}
        if unknown:
            raise ValueError(f"{model} has no such field: {', '.join(sorted(unknown))}; see hagan_lite/config.py")
        fields = PRESETS[preset] | kind.SETS | kind.SETS_AT.get(preset, {})
        if preset == "paper":
            size = changes.get("size", 64)
            batch = changes.get("batch_size", 32 if size == 64 else 2)
            epoch = -(-PAPER_IMAGES.get(paper_name(dataset), 396) // batch)
            # 100 warm-up epochs are the paper's; the total is open: ten times that.
            fields = dict(z_dim=100 if size == 64 else 1000, batch_size=batch, phase_two=100 * epoch) | fields
            fields["steps"] = 1000 * epoch
        return kind(**(dict(model=model, dataset=dataset, preset=preset) | fields | changes))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Experiment":
        """What `to_dict` gave, of a run folder or a record; fields that are no more are passed over."""
        kind = choices_of(fields["model"])
        known = {f.name for f in dataclasses.fields(kind)}
        return kind(**{name: value for name, value in fields.items() if name in known})

    @property
    def policy(self) -> tuple[str, ...]:
        """The parts of T, in order; empty where there is no T."""
        return tuple(part for part in self.augment.split(",") if part)

    @property
    def data_label(self) -> str:
        """The data set's name; 'folder' for a user's own path, which is nobody's business but the user's."""
        return self.dataset if self.dataset in DATASETS else "folder"

    @property
    def changes(self) -> dict[str, Any]:
        """Fields in which this experiment differs from its model at its preset: what an ablation changed.

        ``make`` with these makes it again: ``make(e.model, e.dataset, e.preset, seed=e.seed, **e.changes) == e``.
        """
        given = {} if self.size == 64 else dict(size=self.size)  # a size that is not the default decides other fields,
        if self.preset != "paper" and self.steps != PRESETS[self.preset]["steps"]:
            given["steps"] = self.steps  # and the number of steps decides when phase two starts
        base = self.make(self.model, self.dataset, self.preset, seed=self.seed, **given)
        names = (f.name for f in dataclasses.fields(self))
        return given | {name: v for name in names if (v := getattr(self, name)) != getattr(base, name)}

    def to_dict(self) -> dict[str, Any]:
        """All fields, with the path of a user's own folder left out."""
        return dataclasses.asdict(self) | {"dataset": self.data_label}

    @functools.cached_property
    def hash(self) -> str:
        """12 hex digits of all that decides the result: no label, path, device or number of threads."""
        silent = {"preset"}
        if not self.flips:
            silent.add("border")  # without shifts no border decides anything
        if self.mix != "attnmix":
            silent.add("saliency")  # no label asks for a map
        decides = {k: v for k, v in self.to_dict().items() if k not in silent}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


CHOICES: dict[str, type[Experiment]] = {"hagan": Experiment}
"""The class of each model's experiments; those of the baselines are there once `hagan_lite.baselines` is imported."""


def choices_of(model: str) -> type[Experiment]:
    """Return the class of a model's experiments: Experiment for HAGAN, for a baseline the `Choices` of its file."""
    if model not in MODELS:
        raise ValueError(f"model={model!r}: choose one of {', '.join(MODELS)}")
    if model not in CHOICES:
        raise ValueError(f"model={model!r} is not known yet: import hagan_lite.baselines first")
    return CHOICES[model]
