"""Evaluate a run in one call: scores with floors and spread, and the audit in two spaces."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hagan_lite import runs
from hagan_lite.datasets.loading import Dataset, load_for
from hagan_lite.evaluation import audit, metrics
from hagan_lite.evaluation.features import EXTRACTORS, choose_all, features
from hagan_lite.runs.record import DISTANCES
from hagan_lite.system.runtime import pick_device
from hagan_lite.system.storage import write_json

Scores = dict[str, Any]
"""What metrics.evaluate returns."""
Audits = dict[str, audit.Audit | str]


@dataclass(frozen=True)
class Evaluation:
    """Hold the main extractor's scores, each further one's by its name, and audits by space."""

    metrics: Scores
    audits: Audits
    also: dict[str, Scores] = field(default_factory=dict)


def of_images(
    real: Dataset,
    fake: np.ndarray,
    extractor: str = "auto",
    seed: int = 0,
    device: str = "auto",
    heldout: float = 0.0,
    n_train: int = 0,
    fresh: tuple[np.ndarray, ...] = (),
) -> Evaluation:
    """Score uint8 `fake` against the training part of `real`, and audit it in two spaces.

    `heldout` and `n_train` are the experiment's, and say which part that is (Dataset.split).

    The spaces are the main extractor's and pixels.

    `extractor` is a name, several with commas between them, the main one first, or 'auto'
    (features.choose_all). With `heldout` the split's held-out images are the audit's yardstick,
    without it five folds of whole groups. Where there is no yardstick, an audit is a sentence that
    says so.
    """
    where = pick_device(device)
    main, *others = choose_all(extractor)
    training, held = real.split(heldout, n_train)

    def scores_of(name: str) -> Scores:
        return metrics.evaluate(real.images[training], fake, where, seed, name, fresh)

    spaces = {main: lambda images: features(images, main, where), "pixels": _pixels}
    return Evaluation(
        metrics=scores_of(main),
        audits={
            space: _audited(real, fake, into, seed, training, held)
            for space, into in spaces.items()
        },
        also={name: scores_of(name) for name in others},
    )


def _pixels(images: np.ndarray) -> Tensor:
    """Return images as rows of grey levels, uint8: as floats large ones would fill the memory."""
    return torch.tensor(images).flatten(1)


def _audited(
    real: Dataset,
    fake: np.ndarray,
    into: Callable[[np.ndarray], Tensor],
    seed: int,
    training: np.ndarray,
    held: np.ndarray,
) -> audit.Audit | str:
    """Audit in the space that `into` leads to, or say why not."""
    samples, train = into(fake), into(real.images[training])
    try:
        if len(held):
            return audit.audit(train, samples, into(real.images[held]), seed)
        return audit.audit_by_folds(train, samples, real.groups[training], seed)
    except ValueError as error:
        return f"not audited: {error}"


def of_run(
    run: Path,
    extractor: str = "auto",
    sets: int = 10,
    seed: int = 0,
    device: str = "auto",
    dataset: str = "",
) -> Evaluation:
    """Evaluate as many samples of a finished run as it had training images.

    `sets` fresh sets of as many samples give the spread.

    The result is also written to the run's evaluation.json. Raises ValueError where `dataset` holds
    other images than the run was trained on.
    """
    names = ",".join(choose_all(extractor))  # a wrong name is refused before anything is sampled
    e = runs.experiment_of(run)
    images = load_for(e, dataset)
    runs.check_data(run, images)
    n = len(images.split(e.heldout, e.n_train)[0])
    fake, *fresh = (runs.sample(run, n, seed + i, device, images) for i in range(1 + sets))
    parts = dict(heldout=e.heldout, n_train=e.n_train)
    evaluation = of_images(images, fake, names, seed, device, fresh=tuple(fresh), **parts)
    saved = dict(metrics=evaluation.metrics, also=evaluation.also)
    write_json(Path(run) / "evaluation.json", saved | dict(audit=summaries(evaluation.audits)))
    return evaluation


def summaries(audits: Audits) -> dict[str, dict | str]:
    """Return what a record holds of audits: no distances, no indices."""
    return {space: a if isinstance(a, str) else a.summary() for space, a in audits.items()}


def learning_curve(
    run: Path, dataset: Dataset, extractor: str = "auto", device: str = "auto"
) -> dict[str, list]:
    """Measure every generator that was saved during the training (train's `history`).

    All draw from the same z. The lists are `step` and `fd`, or the key of another main extractor's
    distance. Further extractors are left out.

    The paper reports the best checkpoint. The minimum of this curve imitates that, but it is
    biased, because it selects by the score that it reports. The result is empty where none was
    saved, and for skip="instance", whose D of that time is gone.
    """
    e, steps = runs.experiment_of(run), runs.history_of(run)
    if not steps or e.skip == "instance":
        return {}
    training = dataset.split(e.heldout, e.n_train)[0]
    drawn = {}
    for step in steps:
        drawn[step] = runs.sample(run, len(training), device=device, step=step)
    return curve_of_images(dataset.images[training], drawn, extractor, device)


def curve_of_images(
    real: np.ndarray, drawn: dict[int, np.ndarray], extractor: str = "auto", device: str = "auto"
) -> dict[str, list]:
    """Return :func:`learning_curve` from the images that each step's generator has drawn.

    `real` and the images are (N, C, H, W) uint8. The result is empty where there are none.
    """
    if not drawn:
        return {}
    where, name = pick_device(device), choose_all(extractor)[0]
    wanted = features(real, name, where)
    scores = []
    for images in drawn.values():
        scores.append(metrics.frechet_distance(wanted, features(images, name, where)))
    return {"step": list(drawn), EXTRACTORS[name].distance: scores}


def in_words(evaluation: Evaluation) -> str:
    """Return what `hagan evaluate` prints: a block per extractor, then the audits."""
    extractors = (evaluation.metrics, *evaluation.also.values())
    lines = [_scores_in_words(scores) for scores in extractors]
    for space, result in evaluation.audits.items():
        verdict = result if isinstance(result, str) else result.verdict
        lines.append(f"audit in {space}: {verdict}")
    return "\n".join(lines)


def _scores_in_words(scores: Scores) -> str:
    key = EXTRACTORS[scores["extractor"]].distance
    label, digits, kid_digits = DISTANCES[key]

    def shown(distance: float) -> str:
        return f"{distance:.{digits}f}"

    kid, kid_se, kid_floor, kid_floor_se = (
        f"{scores[name]:.{kid_digits}f}" for name in ("kid", "kid_se", "kid_floor", "kid_floor_se")
    )
    lines = [
        f"{scores['n_fake']} generated against {scores['n_real']} real images; "
        f"{scores['extractor']}, {scores['resize']}, seed {scores['seed']}",
        f"{label:10}{shown(scores[key]):>10}",
    ]
    if sets := scores.get(f"{key}_sets"):
        spread = np.std(sets, ddof=1) if len(sets) > 1 else 0.0
        lines.append(
            f"{'':10}{shown(np.mean(sets)):>10} mean of {len(sets)} fresh sets, sd {shown(spread)}"
        )
    at_floor, sd = scores[f"{key}_at_floor_n"], scores.get(f"{key}_at_floor_n_sd")
    of_subsets = "" if sd is None else f" (sd {shown(sd)})"
    lines += [
        f"{'':10}{shown(at_floor):>10} with {scores['n_floor']} images{of_subsets}, "
        f"floor there {shown(scores['floor'])}",
        f"{'KID':10}{kid:>10} +- {kid_se}, floor {kid_floor} +- {kid_floor_se}",
    ]
    for name in ("precision", "recall"):
        lines.append(f"{name:10}{scores[name]:10.2f} floor {scores[name + '_floor']:.2f}")
    return "\n".join(lines)
