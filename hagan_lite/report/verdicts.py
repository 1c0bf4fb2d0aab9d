"""Define the four verdicts that a test of a claim can reach."""

from typing import NamedTuple

HELD, NOT, UNDECIDED, UNTESTED = "held", "did not hold", "undecided here", "not testable here"
"""Undecided: it was tested, and the seeds are too close together to decide.
Not testable: data or records are missing."""


class Finding(NamedTuple):
    """Hold a verdict, its reason with the numbers, and the deciding records' names (or files)."""

    verdict: str
    because: str
    records: tuple[str, ...] = ()


def worst(verdicts: list[str]) -> str:
    """Return the verdict on a claim with several parts: one part that did not hold decides it."""
    return min(verdicts, key=(NOT, UNTESTED, UNDECIDED, HELD).index)
