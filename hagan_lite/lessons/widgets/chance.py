"""Explore chance: how many seeds does it take to decide a difference of this size?

It is a two-sided t-test with the pooled spread of all rows. The verdicts' own test (Welch's, in
report/effects.py) knows only the spread of the two rows compared, and needs rather more runs.
"""

import math
from typing import Any

import numpy as np
import traitlets

from hagan_lite.lessons.widgets.base import Explorer, module

OWN = "a difference of your own"
MOST = 40  # seeds of a row


class ChanceExplorer(Explorer):
    """Show the p of a difference, and the chance to decide it, over the number of seeds.

    `difference` is that of the means of two rows with `seeds` runs each, `sd` the spread of one run
    with `freedom` degrees of freedom, `level` the level at which it decides. `row` and `rival` name
    two rows of the records; choosing one sets difference, seeds and sd to what was measured. While
    `row` is OWN, its default, the three are the reader's, and `rival` has no effect.
    """

    _esm = module("chance")

    row = traitlets.Unicode(OWN).tag(sync=True)
    rival = traitlets.Unicode().tag(sync=True)
    difference = traitlets.Float(20.0, min=0).tag(sync=True)
    seeds = traitlets.Int(3, min=1, max=MOST).tag(sync=True)
    sd = traitlets.Float(1.0, min=1e-3).tag(sync=True)
    freedom = traitlets.Int(1, min=1).tag(sync=True)
    level = traitlets.Float(0.05, min=1e-4, max=0.5).tag(sync=True)

    _rows = traitlets.Dict().tag(sync=True)
    _sd = traitlets.Float(help="that of the records").tag(sync=True)
    _widest = traitlets.Float(help="the largest difference that can be set").tag(sync=True)

    def __init__(self, rows: dict[str, list[float]], sd: float, freedom: int) -> None:
        """Play with the scores of `rows`, {name: FD of each run}, and their pooled spread.

        Raises ValueError where there are no rows or no spread is known.
        """
        if not rows:
            raise ValueError("no rows are given, so there is nothing to compare")
        if not freedom or not sd:
            raise ValueError("no row has several runs, so no spread of runs is known")
        means = [float(np.mean(scores)) for scores in rows.values()]
        widest = max(60.0, 5 * sd, *(max(means) - mean for mean in means))
        super().__init__(
            rival=min(rows),
            sd=sd,
            freedom=freedom,
            _rows={name: list(map(float, rows[name])) for name in sorted(rows)},
            _sd=sd,
            _widest=math.ceil(widest / 20) * 20,
        )

    @traitlets.validate("row", "rival")
    def _was_run(self, proposal: dict[str, Any]) -> str:
        name, own = proposal["value"], OWN if proposal["trait"].name == "row" else None
        if name not in self._rows and name != own:
            rows = ", ".join(self._rows)
            raise traitlets.TraitError(f"{name!r} is none of the rows: {rows}")
        return name

    @traitlets.observe("row", "rival")
    def _take_what_was_measured(self, change: dict[str, Any]) -> None:
        """Set difference, seeds and sd as the browser does when its reader chooses a row."""
        if self.row == OWN:
            return
        mine, other = self._rows[self.row], self._rows[self.rival]
        self.difference = min(abs(float(np.mean(other) - np.mean(mine))), self._widest)
        self.seeds = min(len(mine), len(other), MOST)
        self.sd = self._sd

    @property
    def error(self) -> float:
        """Return the standard error of the difference."""
        return self.sd * math.sqrt(2 / self.seeds)

    @property
    def p(self) -> float:
        """Return the chance that equal rows differ by as much, in either direction."""
        from scipy.stats import t as t_distribution  # a second: only where an explorer asks

        return float(2 * t_distribution.sf(self.difference / self.error, self.freedom))

    @property
    def power(self) -> float:
        """Return the chance that the test decides where the true difference is `difference`."""
        from scipy.stats import nct
        from scipy.stats import t as t_distribution

        critical = t_distribution.isf(self.level / 2, self.freedom)
        shift = self.difference / self.error
        above = nct.sf(critical, self.freedom, shift)
        # In the wrong direction, by symmetry: scipy's cdf gives NaN so far out.
        below = nct.sf(critical, self.freedom, -shift)
        return float(above + below)
