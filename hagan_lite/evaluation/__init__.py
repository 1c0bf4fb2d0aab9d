"""Measure how good generated images are, whether they are copies, and what a model costs."""

from hagan_lite.evaluation.evaluate import (
    Audits,
    Evaluation,
    Scores,
    curve_of_images,
    in_words,
    learning_curve,
    of_images,
    of_run,
    summaries,
)
from hagan_lite.evaluation.generalization import on_heldout, over_training

__all__ = [
    "Audits",
    "Evaluation",
    "Scores",
    "curve_of_images",
    "in_words",
    "learning_curve",
    "of_images",
    "of_run",
    "on_heldout",
    "over_training",
    "summaries",
]
