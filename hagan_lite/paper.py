"""What the paper prints, and what it calls the data sets."""

import json
from importlib.resources import files
from typing import Any

PAPER: dict[str, Any] = json.loads((files("hagan_lite") / "paper.json").read_text())
"""The numbers the paper prints, table by table; never mixed with ours."""
PAPER_IMAGES = {"covid-ct": 396, "acdc": 1798, "brats2018": 6528}
"""How many images the paper used (Table II)."""


def paper_name(dataset: str) -> str:
    """Return what the paper calls a data set of ours: 'brats2018' for 'brats2018-flair'.

    A data set that the paper does not have keeps its name.
    """
    for name in PAPER_IMAGES:
        if dataset == name or dataset.startswith(f"{name}-"):
            return name
    return dataset


EXAMPLES: dict[str, list[float]] = PAPER["figure_7"]["examples"]
"""The paper's labels by data set: [lambda_0, lambda]."""
