"""What a test of a claim may find."""

from typing import NamedTuple

HELD, NOT, UNDECIDED, UNTESTED = "held", "did not hold", "undecided here", "not testable here"
"""Undecided: it was tested, and the seeds lie too near together to tell. Not testable: data or
records are missing.
"""


class Finding(NamedTuple):
    """A verdict, its reason with the numbers, and the names of the records (or files) that decide."""

    verdict: str
    because: str
    records: tuple[str, ...] = ()


def worst(verdicts: list[str]) -> str:
    """Of a claim with several parts: one that did not hold decides it, whatever was not tested."""
    return min(verdicts, key=(NOT, UNTESTED, UNDECIDED, HELD).index)
