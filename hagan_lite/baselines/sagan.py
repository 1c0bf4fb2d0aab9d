"""SAGAN (Zhang et al. 2019) as Table I counts it: spectral norm, and self-attention in G alone.

HAGAN with every part but the attention switched off. SAGAN's source also has attention in D, which
the printed counts leave no room for, and the hinge loss (lesson 08) instead of least squares.
"""

from dataclasses import dataclass

from hagan_lite.baselines._plain import PLAIN
from hagan_lite.config import Experiment
from hagan_lite.hagan import Hagan


@dataclass(frozen=True)
class Choices(Experiment):
    """Set HAGAN's parts off; there is no field of its own."""

    SETS = PLAIN


class Model(Hagan):
    """Take HAGAN's step, of which these choices leave the two adversarial losses alone."""
