"""Define the verdicts that a test of a claim can reach, and correct them for many tests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

HELD, NOT, UNDECIDED, UNTESTED = "held", "did not hold", "undecided here", "not testable here"
"""Undecided: it was tested, and the runs lie too near together to decide.
Not testable: data or records are missing."""

_WORST_FIRST = (NOT, UNTESTED, UNDECIDED, HELD)

LEVEL = 0.05
"""A difference decides where chance alone would make one as large, in either direction, less often
than this. It is compared with the corrected p where there is one."""


@dataclass(frozen=True)
class Comparison:
    """Hold one statistical test of a claim: two sides of runs, the effect and its p.

    `effect` is positive where the runs agree with the claim; `interval` holds its 95 % interval.
    `fewest` is the number of runs of the smallest group: a side, or its part on one data set.
    `p` is None where the runs have no spread, and nothing can then be decided. `key` says what was
    compared: a test that two claims share is one test for :func:`holm`.
    """

    name: str
    key: tuple
    effect: float
    p: float | None
    runs: tuple[int, int]
    because: str
    interval: tuple[float, float] | None = None
    of_distance: bool = True  # the effect is a difference of FD
    both_with_t: bool = False  # both sides were trained with the augmentation T
    corrected_p: float | None = None
    fewest: int = 0

    @property
    def verdict(self) -> str:
        """Return the verdict at LEVEL, by the corrected p where there is one."""
        p = self.p if self.corrected_p is None else self.corrected_p
        if p is None or not p < LEVEL:  # a p that is no number decides nothing
            return UNDECIDED
        return HELD if self.effect > 0 else NOT

    @property
    def in_words(self) -> str:
        """Return the numbers of both sides with p, and the corrected p where there is one."""
        if self.p is None:
            return f"{self.because}, and no spread of runs is known"
        words = f"{self.because}, p = {in_short(self.p)}"
        if self.corrected_p is not None:
            words += f" ({in_short(self.corrected_p)} corrected)"
        return words

    def corrected(self, p_of: Mapping[tuple, float]) -> "Comparison":
        """Return the comparison with its corrected p, by its key, if `p_of` has one."""
        return replace(self, corrected_p=p_of.get(self.key))


@dataclass(frozen=True)
class Statement:
    """Hold a part of a verdict that no p decides: a count, or what is missing."""

    verdict: str
    in_words: str


@dataclass(frozen=True)
class Finding:
    """Hold the parts of a verdict, and the names of the deciding records (or files)."""

    parts: tuple[Comparison | Statement, ...]
    records: tuple[str, ...] = ()

    @classmethod
    def stated(cls, verdict: str, because: str, records: tuple[str, ...] = ()) -> "Finding":
        """Return a finding of one part, which no p decides."""
        return cls((Statement(verdict, because),), records)

    @property
    def verdict(self) -> str:
        """Return the verdict on the whole: one part that did not hold decides it."""
        return worst([part.verdict for part in self.parts])

    @property
    def because(self) -> str:
        """Return the reason with the numbers."""
        return "; ".join(part.in_words for part in self.parts)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Return the parts that are statistical tests."""
        return tuple(part for part in self.parts if isinstance(part, Comparison))

    @property
    def deciding(self) -> Comparison | None:
        """Return the comparison that decides a claim to be ahead of all: the worst verdict's.

        Of several with one verdict it is that with the smallest effect; None where there is none.
        """

        def rank(comparison: Comparison) -> tuple[int, float]:
            return _WORST_FIRST.index(comparison.verdict), comparison.effect

        return min(self.comparisons, key=rank, default=None)

    def corrected(self, p_of: Mapping[tuple, float]) -> "Finding":
        """Return the finding with each comparison's corrected p, by its key."""
        parts = [
            part.corrected(p_of) if isinstance(part, Comparison) else part for part in self.parts
        ]
        return Finding(tuple(parts), self.records)


def in_short(p: float | None) -> str:
    """Return a p with two digits, or nothing for None."""
    return "" if p is None else f"{p:.2g}"


def worst(verdicts: list[str]) -> str:
    """Return the verdict on a claim with several parts: one part that did not hold decides it."""
    return min(verdicts, key=_WORST_FIRST.index)


def bounded(verdict: str, controls: list[str]) -> str:
    """Return a claim's verdict in view of its controls': held only if none of them contradicts."""
    return UNDECIDED if verdict == HELD and NOT in controls else verdict


def holm(p_values: list[float]) -> list[float]:
    """Return Holm's corrected p-values (1979), in the order of `p_values`.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none becomes smaller than
    the one before it, or larger than 1. At a level of 5 % the chance that any true null hypothesis
    is rejected is then at most 5 %, whether or not the tests are independent.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = largest
    return corrected
