"""Check answers to the lessons' exercises by digests, so that no answer stands in a file."""

import hashlib
import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("exercises.json")


def check(name: str, answer: Any) -> bool | None:
    """Return whether `answer` to exercise `name` ("03.1") is right, and print it.

    None means "not answered yet", and gives None.

    An answer is a number, compared after rounding, or a word, compared in lower case. Raises
    KeyError, listing the lesson's exercises, for a name that is none.
    """
    exercises = json.loads(FILE.read_text())
    if name not in exercises:
        raise KeyError(f"no exercise {name!r}; there are {', '.join(sorted(exercises))}")
    exercise = exercises[name]
    if answer is None:
        print(f"Exercise {name}: no answer yet.")
        return None
    right = digest(name, answer, exercise["digits"]) in exercise["digests"]
    print(f"Exercise {name}: " + ("right." if right else f"not yet. Hint: {exercise['hint']}"))
    return right


def digest(name: str, answer: Any, digits: int) -> str:
    """Return 16 hex digits of an answer.

    A number is rounded to `digits` decimals, a word is taken in lower case.
    """
    if isinstance(answer, str):
        text = answer.strip().lower()
    else:
        text = f"{round(float(answer), digits) + 0.0:.{max(0, digits)}f}"  # + 0.0 makes -0.0 zero
    return hashlib.sha256(f"hagan {name} {text}".encode()).hexdigest()[:16]
