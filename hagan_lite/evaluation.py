"""A run's evaluation in one call: scores with floors and spread, and the memorisation audit in two spaces."""

from pathlib import Path

import numpy as np
import torch

from hagan_lite import audit, metrics, runs
from hagan_lite.data import Dataset, load
from hagan_lite.features import EXTRACTORS, choose, features
from hagan_lite.runtime import pick_device
from hagan_lite.storage import write_json

Audits = dict[str, audit.Audit | str]


def of_images(
    real: Dataset,
    fake: np.ndarray,
    extractor: str = "auto",
    seed: int = 0,
    device: str = "auto",
    heldout: float = 0.0,
    fresh: tuple[np.ndarray, ...] = (),
) -> tuple[dict, Audits]:
    """Scores of uint8 `fake` against the training part of `real`, and its audits, one per space.

    With `heldout` the split's held-out images are the audit's yardstick, without it five folds of whole groups. Where
    there is no yardstick, an audit is a sentence that says so.
    """
    where, name = pick_device(device), choose(extractor)
    training, held = real.split(heldout)
    scores = metrics.evaluate(real.images[training], fake, where, seed, name, fresh)
    spaces = {
        name: lambda x: features(x, name, where),
        "pixels": lambda x: torch.from_numpy(x.reshape(len(x), -1).astype(np.float32) / 255),
    }
    audits: Audits = {}
    for space, into in spaces.items():
        samples, train = into(fake), into(real.images[training])
        try:
            if len(held):
                audits[space] = audit.audit(train, samples, into(real.images[held]), seed)
            else:
                audits[space] = audit.audit_by_folds(train, samples, real.groups[training], seed)
        except ValueError as error:
            audits[space] = f"not audited: {error}"
    return scores, audits


def of_run(
    run: Path, extractor: str = "auto", sets: int = 10, seed: int = 0, device: str = "auto", dataset: str = ""
) -> tuple[dict, Audits]:
    """As many samples of a finished run as it had training images, and `sets` fresh sets more; also written to the
    run's evaluation.json. Raises ValueError where `dataset` holds other images than the run was trained on."""
    e = runs.experiment_of(run)
    images = load(dataset or e.dataset, e.size, e.channels)
    runs.check_data(run, images)
    n = len(images.split(e.heldout)[0])
    fake, *fresh = (runs.sample(run, n, seed + i, device, images) for i in range(1 + sets))
    scores, audits = of_images(images, fake, extractor, seed, device, e.heldout, tuple(fresh))
    write_json(Path(run) / "evaluation.json", dict(metrics=scores, audit=summaries(audits)))
    return scores, audits


def summaries(audits: Audits) -> dict[str, dict | str]:
    """What a record keeps of audits: no distances, no indices."""
    return {space: found if isinstance(found, str) else found.summary() for space, found in audits.items()}


def learning_curve(run: Path, dataset: Dataset, extractor: str = "auto", device: str = "auto") -> dict[str, list]:
    """FD (or FID) of every generator that was kept during the training (train's `history`), of the same z: the lists
    `step` and `fd` or `fid`.

    The paper reports the best checkpoint; the smallest of these is that number, chosen by what it reports. Empty where
    none was kept, and for skip="instance", whose D of that time is gone.
    """
    e, where, name = runs.experiment_of(run), pick_device(device), choose(extractor)
    steps = [int(path.stem.split("_")[1]) for path in sorted((Path(run) / "history").glob("step_*.safetensors"))]
    if not steps or e.skip == "instance":
        return {}
    training = dataset.split(e.heldout)[0]
    real = features(dataset.images[training], name, where)
    fakes = (runs.generate(runs.load_generator(run, device, step), e, len(training)) for step in steps)
    scores = [metrics.frechet_distance(real, features(fake, name, where)) for fake in fakes]
    return {"step": steps, EXTRACTORS[name].distance: scores}


def in_words(scores: dict, audits: Audits) -> str:
    """What `hagan evaluate` prints."""
    kind = EXTRACTORS[scores["extractor"]].distance
    lines = [
        f"{scores['n_fake']} generated against {scores['n_real']} real images; {scores['extractor']}, "
        f"{scores['resize']}, seed {scores['seed']}",
        f"{kind.upper():10}{scores[kind]:10.1f}",
    ]
    if sets := scores.get(f"{kind}_sets"):
        lines.append(
            f"{'':10}{np.mean(sets):10.1f} mean of {len(sets)} fresh sets, sd {np.std(sets, ddof=len(sets) > 1):.1f}"
        )
    at, floor = f"{kind}_at_floor_n", f"floor {scores['kid_floor']:.4f} +- {scores['kid_floor_se']:.4f}"
    lines += [
        f"{'':10}{scores[at]:10.1f} with {scores['n_floor']} images (sd {scores[at + '_sd']:.1f}), "
        f"floor there {scores['floor']:.1f}",
        f"{'KID':10}{scores['kid']:10.4f} +- {scores['kid_se']:.4f}, {floor}",
        *(f"{name:10}{scores[name]:10.2f} floor {scores[name + '_floor']:.2f}" for name in ("precision", "recall")),
    ]
    for space, found in audits.items():
        lines.append(f"audit in {space}: {found if isinstance(found, str) else found.verdict}")
    return "\n".join(lines)
