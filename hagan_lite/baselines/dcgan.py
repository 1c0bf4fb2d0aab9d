"""DCGAN (Radford et al. 2016) as Table I counts it: SAGAN's networks without self-attention.

Its D has spectral norm where the source's has BatchNorm, and its loss is least squares where the
source's is cross-entropy. It is HAGAN with every part switched off. Without `flips` too, it is the
base model of Table IV.
"""

from dataclasses import dataclass

from hagan_lite.baselines._plain import PLAIN
from hagan_lite.config import Experiment
from hagan_lite.hagan import Hagan


@dataclass(frozen=True)
class Choices(Experiment):
    """Set HAGAN's parts off; there is no field of its own."""

    SETS = PLAIN | dict(attention=False)


class Model(Hagan):
    """Take HAGAN's step, of which these choices leave the two adversarial losses alone."""
