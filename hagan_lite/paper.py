"""The numbers that the paper prints, which are never mixed with ours."""

import json
from importlib.resources import files
from typing import Any

PAPER: dict[str, Any] = json.loads((files("hagan_lite") / "paper.json").read_text())
"""The numbers the paper prints, table by table; never mixed with ours."""
PAPER_IMAGES = {"covid-ct": 396, "acdc": 1798, "brats2018": 6528}
"""How many images the paper used (Table II)."""


def paper_name(dataset: str) -> str:
    """What the paper calls a data set of ours: 'brats2018' for 'brats2018-flair'; itself where it has none."""
    return next((name for name in PAPER_IMAGES if dataset == name or dataset.startswith(f"{name}-")), dataset)


EXAMPLES: dict[str, list[float]] = PAPER["figure_7"]["examples"]
"""The paper's labels by data set: [lambda_0, lambda]."""
