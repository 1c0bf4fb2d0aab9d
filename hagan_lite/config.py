"""One frozen Experiment names every choice that decides a result (Sections III and IV).

Each field is written once, with its meaning, its limits and its source in the paper; validation,
error messages and `hagan fields` read them there.
"""

import dataclasses
import functools
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hagan_lite.paper import PAPER_IMAGES, paper_name
from hagan_lite.system.choices import check_names, check_values, choice, field_names, recorded
from hagan_lite.system.own_folder import OwnFolder

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
    "lgg": "FLAIR of 110 brains with lower-grade glioma, LGG MRI Segmentation (not in the paper)",
}

MODELS = ("hagan", *sorted(p.stem for p in (Path(__file__).parent / "baselines").glob("[!_]*.py")))
"""HAGAN, and every file in baselines/: a model is added by adding one (see CONTRIBUTING.md)."""

PRESETS: dict[str, dict[str, Any]] = {
    # Seconds: it shows that everything runs, and nothing more.
    "smoke": dict(width=8, steps=20, batch_size=4, ema=0.8),
    # Five to eight minutes on two cores. The slices of mni152 look alike; on them G learns at the
    # paper's rate and stays stable.
    "quick": dict(width=32, steps=500, lr_g=1e-3),
    # About ten minutes on two cores.
    "cpu": dict(width=32, steps=800),
    # Section IV-A; the rest depends on size and data set, see Experiment.make.
    "paper": dict(width=64, lr_g=1e-3, ema=0.995),
}
SIZES = (32, 64, 128, 256, 512, 1024)
AUGMENTATIONS = ("brightness", "contrast", "translation")


@dataclass(frozen=True)
class Experiment(OwnFolder):
    """Name every choice of one run. Make one with :meth:`make`; the defaults are HAGAN's at `cpu`.

    Raises ValueError, naming the field and what it may be, for a value that no code path
    understands; :meth:`make` also for a field that the model does not use. A baseline's file, whose
    name is the model's, has one subclass of it: `Choices`, with what that model sets otherwise and
    the fields that it alone has.
    """

    SETS: ClassVar[dict[str, Any]] = {}  # fields that the model sets otherwise, at every preset
    SETS_AT: ClassVar[dict[str, dict[str, Any]]] = {}  # and by preset
    SETS_ABOVE_64: ClassVar[dict[str, dict[str, Any]]] = {}  # and by preset, for larger images
    REFUSED: ClassVar[tuple[str, ...]] = ()  # fields that decide nothing in this model

    model: str = choice("hagan", "which model is trained", "Table II", one_of=MODELS)
    dataset: str = choice("mni152", "a data set's name, or a folder of images", "IV-A")
    preset: str = choice("cpu", "a label; the fields below decide", "ours", one_of=tuple(PRESETS))
    seed: int = choice(0, "of weights, noise, batches and masks", low=0, high=2**31 - 1)
    # data
    size: int = choice(64, "pixels a side", "IV-A: 64 and 256", one_of=SIZES)
    channels: int = choice(1, "1 is grey, 3 is colour", "open; Table I counts 3", one_of=(1, 3))
    heldout: float = choice(
        0.0, "share kept from training: patients, volumes or blocks", "ours", low=0, high=0.9
    )
    n_train: int = choice(
        0, "images to train on at most; 0: all but held-out ones", low=0, later=True
    )
    flips: bool = choice(False, "mirror real images, shift them by up to 1/16", "IV-A; open")
    border: str = choice("edge", "what a shift of `flips` brings in", one_of=("edge", "black"))
    # networks
    width: int = choice(32, "channels at the first level", "64, inferred from Table I", low=1)
    z_dim: int = choice(100, "numbers in z, uniform in [-1, 1]", "IV-A: 100 and 1000", low=1)
    attention: bool = choice(True, "give the generator SAGAN's self-attention", "III-B, IV-A")
    skip: str = choice(
        "ema", "what flows back: generator.py", "open; III-D", one_of=("ema", "instance", "off")
    )
    pixel_branch: bool = choice(True, "let D judge every pixel too", "III-C, Eq. 6")
    # A 1x1 branch sees single grey values only.
    pixel_kernel: int = choice(3, "kernel of the pixel branch", one_of=(1, 3))
    # AttnMix and T
    mix: str = choice(
        "attnmix", "label of mixed images", "Eq. 1-4; open", one_of=("attnmix", "cutmix", "off")
    )
    # The paper's Figure 7 fits better with "output": notebook 16.
    saliency: str = choice(
        "output", "A: attention's output, or attention received", one_of=("output", "received")
    )
    alpha: float = choice(0.5, "factor of lambda_0 + lambda_1", "Eq. 4; open", low=0, high=0.5)
    augment: str = choice(
        "brightness,contrast,translation", "the policy of T", "III-B; open", any_of=AUGMENTATIONS
    )
    augment_shift: float = choice(0.125, "T's largest shift, of the side", low=0, high=0.5)
    # losses; the paper names the weights beta, beta1 and beta2 and gives no number
    adversarial: str = choice(
        "ls", "least squares or non-saturating adversarial loss", "III-E, B", one_of=("ls", "ns")
    )
    # At the preset cpu the pixel branch stays near chance; with weight 1 G's images get noisy.
    beta: float = choice(0.1, "weight of the pixel branch in G's loss", "Eq. 8; open", low=0)
    beta1: float = choice(1.0, "weight of the pixel branch in D's loss", "Eq. 7; open", low=0)
    beta2: float = choice(1.0, "weight of the consistency terms in D's loss", "Eq. 7; open", low=0)
    mixed_weight: float = choice(0.5, "weight of the mixed image's own adversarial loss", low=0)
    feature_loss: str = choice(
        "off", "contrast: distance, or InfoNCE at 0.1", "III-E; open", one_of=("off", "l2", "nce")
    )
    # training
    steps: int = choice(800, "updates of G", low=1)
    batch_size: int = choice(32, "real images a step", "IV-A: 32 and 2", low=1)
    phase_two: int | None = choice(
        None, "first step with T and AttnMix; None: after a fifth", "IV-A; open", low=0
    )
    fresh_noise: bool = choice(False, "new noise for G's update, not the images D has judged")
    ramp: int = choice(0, "steps after phase_two in which beta2 grows from 0 to its weight", low=0)
    # The presets paper and quick have the paper's. With it, in 800 steps on COVID-CT, D stays near
    # chance and runs of different seeds end far apart; a slower G brought them together.
    lr_g: float = choice(4e-4, "G's learning rate", "IV-A: 0.001", low=0)
    lr_d: float = choice(1e-3, "D's learning rate", "IV-A: 0.001", low=0)
    adam_beta1: float = choice(0.5, "Adam's decay of the gradient's mean", low=0, below=1)
    adam_beta2: float = choice(0.999, "Adam's decay of the gradient's square", low=0, below=1)
    # A longer average lags behind in so few steps.
    ema: float = choice(0.98, "decay of the average of G that is sampled", low=0, high=1)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Enter a baseline's `Choices` in CHOICES, under the name of its file."""
        super().__init_subclass__(**kwargs)
        CHOICES[cls.__module__.rpartition(".")[2]] = cls

    def __post_init__(self) -> None:
        check_values(self)
        if self.model in MODELS and type(self) is not choices_of(self.model):
            make = f"Experiment.make({self.model!r})"
            raise ValueError(f"model={self.model!r}: {make} makes its experiments")
        if self.phase_two is None:
            object.__setattr__(self, "phase_two", self.steps // 5)
        # Fields without effect take their defaults, so that equal runs compare equal.
        for field in dataclasses.fields(self):
            if field.name in self._silent:
                object.__setattr__(self, field.name, field.default)
        if self.phase_two > self.steps:
            raise ValueError(f"phase_two={self.phase_two}: beyond steps={self.steps}; set both")
        if self.mix == "attnmix" and not self.attention:
            raise ValueError(
                "mix='attnmix' needs attention=True: its label comes from G's attention"
            )

    @classmethod
    def make(
        cls, model: str = "hagan", dataset: str = "mni152", preset: str = "cpu", **changes: Any
    ) -> "Experiment":
        """Return the preset, then what the model sets otherwise, then `changes`: the later wins.

        `changes` are fields. The preset `paper` takes batches of 32 and 100 numbers in z up to 64
        pixels a side, 2 and 1000 above; an epoch has the paper's number of images, or 396. Raises
        ValueError for a model, preset or field that does not exist, and for a field that the model
        does not use, apart from `width` and `phase_two`: presets give them to every model.
        """
        if preset not in PRESETS:
            raise ValueError(f"preset={preset!r}: choose one of {', '.join(PRESETS)}")
        kind = choices_of(model)
        if unknown := set(changes) - field_names(kind):
            names = ", ".join(sorted(unknown))
            raise ValueError(f"{model} has no such field: {names}; see 'hagan fields {model}'")
        fields = PRESETS[preset] | kind.SETS | kind.SETS_AT.get(preset, {})
        size = changes["size"] if isinstance(changes.get("size"), int) else 64
        fields |= kind.SETS_ABOVE_64.get(preset, {}) if size > 64 else {}
        if preset == "paper":
            batch = changes.get("batch_size", 32 if size <= 64 else 2)
            epoch = math.ceil(PAPER_IMAGES.get(paper_name(dataset), 396) / batch)  # in steps
            # 100 warm-up epochs are the paper's; the total is open: ten times that.
            z_dim = 100 if size <= 64 else 1000
            fields = dict(z_dim=z_dim, batch_size=batch, phase_two=100 * epoch) | fields
            fields["steps"] = 1000 * epoch
        own = {f.name: f.default for f in dataclasses.fields(kind)} | fields
        refused = [name for name in kind.REFUSED if changes.get(name, own[name]) != own[name]]
        if refused:
            names = ", ".join(refused)
            raise ValueError(f"{model} does not use {names}; see 'hagan fields {model}'")
        return kind(**(dict(model=model, dataset=dataset, preset=preset) | fields | changes))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Experiment":
        """Return the Experiment of a run folder or a record, from what `to_dict` gave.

        A `later` field that the file lacks has its default. Raises ValueError for a field too many
        and for another one too few: another version wrote that file.
        """
        kind = choices_of(fields.get("model"))
        check_names(kind, fields)
        return kind(**fields)

    @property
    def policy(self) -> tuple[str, ...]:
        """Return the parts of T, in order; empty where there is no T."""
        return tuple(part for part in self.augment.split(",") if part)

    @property
    def second_phase(self) -> int | None:
        """Return the step at which phase two starts; None where it would bring nothing.

        It brings T and mixed images (Section III-E). A baseline without T has one phase; in U-Net
        GAN, which mixes from the first step on, phase_two ends a warm-up.
        """
        return self.phase_two if self.policy or self.mix != "off" else None

    @property
    def data_label(self) -> str:
        """Return the data set's name, or 'folder' for a user's own path, which is private."""
        return self.dataset if self.dataset in DATASETS else "folder"

    @property
    def changes(self) -> dict[str, Any]:
        """Return the fields that `make` needs beside model, dataset, preset and seed.

        With them it makes this experiment again:
        ``make(e.model, e.dataset, e.preset, seed=e.seed, **e.changes) == e``.
        """
        given: dict[str, Any] = {}
        if self.size != 64:
            given["size"] = self.size  # another size decides other fields
        if self.preset != "paper" and self.steps != PRESETS[self.preset]["steps"]:
            given["steps"] = self.steps  # the number of steps decides when phase two starts
        base = self.make(self.model, self.dataset, self.preset, seed=self.seed, **given)
        if self.preset == "paper" and self.batch_size != base.batch_size:
            given["batch_size"] = self.batch_size  # at `paper` it decides the number of steps
            base = self.make(self.model, self.dataset, self.preset, seed=self.seed, **given)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != getattr(base, field.name):
                given[field.name] = value
        return given

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that a record holds: all but `later` ones that have their defaults.

        The path of a user's own folder is left out, too.
        """
        return recorded(self) | {"dataset": self.data_label}

    @property
    def _silent(self) -> set[str]:
        """Return the fields without effect: `border` without flips, `saliency` without AttnMix."""
        without_effect = {"border": not self.flips, "saliency": self.mix != "attnmix"}
        return {name for name, silent in without_effect.items() if silent}

    @functools.cached_property
    def hash(self) -> str:
        """Return 12 hex digits of all that decides the result: no label, path or device."""
        silent = self._silent | {"preset"}
        decides = {k: v for k, v in self.to_dict().items() if k not in silent}
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:12]


CHOICES: dict[str, type[Experiment]] = {"hagan": Experiment}
"""The class of each model's experiments; importing `hagan_lite.baselines` adds the baselines'."""


def choices_of(model: str) -> type[Experiment]:
    """Return the class of a model's experiments: Experiment, or the `Choices` of a baseline's file.

    Raises ValueError for a model that does not exist, or whose file is not imported yet.
    """
    if model not in MODELS:
        raise ValueError(f"model={model!r}: choose one of {', '.join(MODELS)}")
    if model not in CHOICES:
        raise ValueError(f"model={model!r} is not registered: import hagan_lite.baselines first")
    return CHOICES[model]
