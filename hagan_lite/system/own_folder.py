"""Choices of an experiment on somebody's own folder; they decide nothing of a named data set.

Also which fields a record has only where they are set.
"""

from dataclasses import dataclass
from typing import Any

from hagan_lite.system.choices import choice


@dataclass(frozen=True)
class OwnFolder:
    """Say how a user's folder is read: who is in a picture, and whether masks are pictures."""

    patient: str = choice(
        "", "own folder: a regular expression that finds the patient in each path", "ours"
    )
    masks: bool = choice(False, "own folder: keep files that are named as masks are", "ours")


OMIT_IF_UNSET = {"patient", "masks", "n_train"}


def only_where_set(fields: dict[str, Any]) -> dict[str, Any]:
    """Return an experiment's fields without those of OMIT_IF_UNSET that are not set.

    So the hash of an experiment that does not set them does not depend on there being such fields.
    """
    return {name: value for name, value in fields.items() if value or name not in OMIT_IF_UNSET}
