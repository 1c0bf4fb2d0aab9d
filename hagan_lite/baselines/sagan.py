"""SAGAN (Zhang et al. 2019) as the paper's Table I counts it: spectral norm, and self-attention in G alone.

HAGAN with every part but the attention switched off. SAGAN's source also has attention in D, which the printed counts
leave no room for; its hinge loss is `adversarial="hinge"`.
"""

from dataclasses import dataclass

from hagan_lite.baselines import PLAIN
from hagan_lite.config import Experiment
from hagan_lite.hagan import Hagan


@dataclass(frozen=True)
class Choices(Experiment):
    """No field of its own."""

    SETS = PLAIN


class Model(Hagan):
    """The same step: with these choices nothing but the two adversarial losses is left of it."""
