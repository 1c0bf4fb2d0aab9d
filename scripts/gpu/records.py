"""Here: take out what came back from the GPU, and write a record for each run.

Records that were made there are taken as they are. A run that came back as images is evaluated
here, by what `hagan run` evaluates with. One that the time cut off has a record of the steps it
reached, and a field `stopped` that says how many were wanted.
"""

import argparse
from pathlib import Path

import collect
import numpy as np

from hagan_lite import evaluation, runs
from hagan_lite.datasets import load
from hagan_lite.evaluation import figure7
from hagan_lite.system.paths import BUILD, RECORDS
from hagan_lite.system.runtime import pick_device, provenance
from hagan_lite.system.storage import read_json


def main() -> None:
    """Write the records of all runs that came back, and print their distances."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", type=Path, help="folder of results.tar.0, .1, ...")
    parser.add_argument("--results", type=Path, default=BUILD / "gpu" / "results")
    parser.add_argument("--records", type=Path, default=RECORDS)
    parser.add_argument("--extractor", default="auto")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--names", default="", help="some of the runs, commas between")
    options = parser.parse_args()
    results = collect.take_out(options.parts, options.results)
    print((results / "left-out.txt").read_text(), end="")
    for made in sorted((results / "records").glob("*.json")):
        print(runs.save_record(read_json(made), made.stem, options.records))
    for run in sorted((results / "runs").glob("*")):
        if options.names and run.name not in options.names.split(","):
            continue
        path = record(run, options.records, options.extractor, options.device)
        print(f"{run.name}: {path}")


def record(run: Path, folder: Path, extractor: str = "auto", device: str = "auto") -> Path:
    """Evaluate the images of a run that came back, write its record into `folder`, return its path.

    The images were drawn where the run was trained, from the weights as they were.
    """
    e = runs.experiment_of(run)
    dataset = load(e.dataset, e.size, e.channels)
    runs.check_data(run, dataset)
    fake = images_of(run / "samples.npz")["images"]
    found = evaluation.of_images(
        dataset, fake, extractor, device=device, heldout=e.heldout, n_train=e.n_train
    )
    drawn = {int(step): images for step, images in images_of(run / "curve.npz").items()}
    over_training = evaluation.curve_of_images(
        dataset.images[dataset.split(e.heldout, e.n_train)[0]], drawn, extractor, device
    )
    made = runs.make_record(
        run,
        found.metrics,
        also=found.also,
        audit=evaluation.summaries(found.audits),
        curve=over_training,
        figure_7=figure7.chances(run, device) if runs.finished(run) else {},
        evaluated=provenance(pick_device(device)),
    )
    return runs.save_record(made, runs.run_dir(e, dataset).name, folder)


def images_of(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file; none where there was no room for the file."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


if __name__ == "__main__":
    main()
