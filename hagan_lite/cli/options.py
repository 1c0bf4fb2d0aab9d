"""Define what the commands share: their options, FIELD=VALUE, and where a user's paths lead."""

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from hagan_lite.config import DATASETS, MODELS, PRESETS, choices_of
from hagan_lite.system.choices import used_names

Model = Annotated[str, typer.Option(help=", ".join(MODELS))]
Data = Annotated[
    str, typer.Option(help="a data set's name ('hagan data' lists them) or a folder of images")
]
Preset = Annotated[str, typer.Option(help=", ".join(PRESETS))]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps")]
Precision = Annotated[
    str, typer.Option(help="auto (bf16 on a GPU that computes in it), bf16, fp32")
]
Compile = Annotated[
    bool, typer.Option("--compile", help="torch.compile both networks: for long runs on a GPU")
]
Curve = Annotated[
    bool,
    typer.Option(
        "--curve",
        help="keep ten generators of a run that begins now, and measure FD over its training",
    ),
]
Extractor = Annotated[
    str,
    typer.Option(
        help="efficientnet-lite0 (FD), inception-768 (FID-768), inception (FID), several with "
        "commas between them, or auto: all that this machine has weights for"
    ),
]
Strict = Annotated[bool, typer.Option("--strict", help="stop where any file must be left out")]
Masks = Annotated[
    bool, typer.Option("--masks", help="in your own folder: keep files that are named as masks are")
]
Patient = Annotated[
    str,
    typer.Option(
        metavar="REGEX",
        help=r"in your own folder: finds in each path who is in the picture, as '^\D*\d+' does",
    ),
]
Change = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="a field of Experiment")
]


OPTIONS = {"model", "dataset", "preset", "seed"}
"""Fields of Experiment that have options of their own."""


def parse(models: Iterable[str], changes: list[str]) -> dict[str, Any]:
    """Return {'steps': 300, 'skip': 'off'} of ['steps=300', 'skip=off'].

    Values are JSON where they can be, else text.

    Raises ValueError for what none of `models` has as a field, or uses.
    """
    import hagan_lite.baselines  # noqa: F401  (every model is known from here on)

    asked = list(models)
    names = set().union(*(used_names(choices_of(model)) for model in asked)) - OPTIONS
    parsed: dict[str, Any] = {}
    for change in changes:
        name, equals, value = change.partition("=")
        value = value.lower() if value in ("True", "False") else value
        if name in OPTIONS:
            raise ValueError(f"--set {change}: this has an option of its own, --{name}")
        if name in names and not equals:
            raise ValueError(f"--set {change}: the value is missing, as in --set {name}=VALUE")
        if name not in names:
            alike = difflib.get_close_matches(name.lower(), sorted(names), n=2)
            meant = f"did you mean {' or '.join(alike)}? " if alike else ""
            listed = ", ".join(sorted(names))
            raise ValueError(
                f"--set {change}: not FIELD=VALUE with a field of {' or '.join(asked)}; {meant}"
                f"There are {listed}"
            )
        try:
            parsed[name] = json.loads(value)
        except json.JSONDecodeError:
            parsed[name] = value
    return parsed


def located(dataset: str) -> str:
    """Return a folder as an absolute path, a data set's name as it is.

    The notebook's kernel has another working directory than the user's shell. What is neither stays
    as it was typed, for the error that names it. Raises ValueError for an empty name, as a variable
    that is not set gives: it would be the current folder.
    """
    if not dataset.strip():
        raise ValueError(f"an empty data set; give {', '.join(DATASETS)}, or a folder of images")
    folder = Path(dataset).expanduser()
    return str(folder.resolve()) if dataset not in DATASETS and folder.is_dir() else dataset
