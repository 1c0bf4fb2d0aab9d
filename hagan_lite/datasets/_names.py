"""What names of files say in a user's folder: masks, and which patient is in the picture."""

import re
from collections.abc import Sequence
from pathlib import PurePath

from hagan_lite.datasets.sources import DataError

_WORDS = r"gt|masks?|segs?|dseg|probseg|segmentations?|labels?|labelmaps?|ground[-_ ]?truths?"
MASK_FILE = re.compile(rf"(?:(?:^|[-_. ])(?:{_WORDS})|masks?)[-_. ]?\d*$|^(?:masks?|labels?)[-_. ]")
"""A name without its suffix, in small letters: case1_seg, 001_mask_2, brainmask, mask-007."""
MASK_FOLDER = re.compile(rf"(?:.*[-_. ])?(?:{_WORDS}|annotations?|labelst[rs])|.*masks?")
"""A folder's whole name, in small letters: masks, labelsTr, Lung_Segmentation, ManualMask."""
FIRST_NUMBER = r"^\D*\d+"
"""What is suggested as a patient's pattern: a name up to the end of its first number."""


def is_mask(below: PurePath) -> bool:
    """Return whether a path, relative to the data set's folder, is named as a mask is."""
    name = below.name.lower()
    stem = name.removesuffix(".gz").rpartition(".")[0] or name
    folders = (part.lower() for part in below.parts[:-1])
    return bool(MASK_FILE.search(stem)) or any(MASK_FOLDER.fullmatch(name) for name in folders)


def patient_pattern(pattern: str) -> re.Pattern[str]:
    """Return a user's pattern, compiled; raise DataError that says what is wrong with it."""
    try:
        return re.compile(pattern)
    except re.error as error:
        raise DataError(f"patient={pattern!r} is no regular expression: {error}") from error


def patients(belows: Sequence[PurePath], pattern: str) -> list[str]:
    """Return each path's patient: what the first parentheses of `pattern` match, else all of it.

    Paths are relative, with slashes. Raises DataError where the pattern is wrong or matches nothing
    in a path.
    """
    compiled, names, without = patient_pattern(pattern), [], []
    for below in belows:
        found = compiled.search(below.as_posix())
        if found:
            names.append(found[1] if compiled.groups and found[1] is not None else found[0])
        else:
            without.append(below)
    if without:
        raise DataError(
            f"patient={pattern!r} matches nothing in {without[0]}, and in {len(without)} of "
            f"{len(belows)} paths; it must name a patient in each"
        )
    return names


def suggestion(belows: Sequence[PurePath]) -> dict[str, int]:
    """Return a note {sentence: number of groups} where names seem to carry the patient, else {}.

    They do in SC-HF-I-01-IM-0001-0048.png and in case01_flair.png: each has a number, and there are
    far fewer first ones than files.
    """
    stems = [below.name.rpartition(".")[0] for below in belows if len(below.parts) == 1]
    found = [re.match(FIRST_NUMBER, stem) for stem in stems]
    if len(stems) < max(len(belows), 4) or not all(found):
        return {}
    groups = {match[0] for match in found}
    if not 1 < len(groups) <= len(stems) / 2:
        return {}
    return {
        f"groups if names carry the patient, as they seem to: --patient '{FIRST_NUMBER}'": len(
            groups
        )
    }
