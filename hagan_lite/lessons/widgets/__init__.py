"""Hold the explorers: pictures of the paper that one can grab.

Each is a Python class, with the equations as the module has them, and an ES module of the same name
beside it, which computes and draws in the browser. `AttnMixExplorer()` in a cell shows itself with
a kernel, and in the book without one.
"""

from hagan_lite.lessons.widgets.attention import AttentionExplorer
from hagan_lite.lessons.widgets.attnmix import AttnMixExplorer
from hagan_lite.lessons.widgets.chance import ChanceExplorer
from hagan_lite.lessons.widgets.frechet import FrechetExplorer
from hagan_lite.lessons.widgets.gan import GanPlayground
from hagan_lite.lessons.widgets.training import TrainingViewer
from hagan_lite.lessons.widgets.walk import LatentWalk

__all__ = [
    "AttentionExplorer",
    "AttnMixExplorer",
    "ChanceExplorer",
    "FrechetExplorer",
    "GanPlayground",
    "LatentWalk",
    "TrainingViewer",
]
