"""Choices of an experiment on somebody's own folder; they decide nothing of a named data set."""

from dataclasses import dataclass

from hagan_lite.system.choices import choice


@dataclass(frozen=True)
class OwnFolder:
    """Say how a user's folder is read: who is in a picture, and whether masks are pictures."""

    patient: str = choice(
        "",
        "own folder: a regular expression that finds the patient in each path",
        "ours",
        later=True,
    )
    masks: bool = choice(
        False, "own folder: keep files that are named as masks are", "ours", later=True
    )
