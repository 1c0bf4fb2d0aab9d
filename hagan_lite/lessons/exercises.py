"""Check the lessons' exercises: answers by digests, predictions, and functions by cases.

No answer stands in a file.
"""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

FILE = Path(__file__).with_name("exercises.json")

_predictions: dict[str, str] = {}  # noted by `predict` in this kernel, for `outcome`


def check(name: str, answer: Any) -> bool | None:
    """Return whether `answer` to exercise `name` ("03.1") is right, and print it.

    None means "not answered yet" and returns None. An answer of the wrong kind returns None as
    well, and prints what to write: a word that is not offered, text where a number is asked for, or
    too few digits of the right number.

    A number is compared after rounding, a word or a letter in lower case. Raises KeyError, listing
    the exercises, where none has that name.
    """
    exercises = json.loads(FILE.read_text())
    if name not in exercises:
        raise KeyError(f"no exercise {name!r}; there are {', '.join(sorted(exercises))}")
    exercise = exercises[name]
    if answer is None:
        return _say(name, None)
    offered = exercise.get("offered", [])
    given = _word(answer, offered) if offered else _number(answer)
    if given is None:
        wanted = " or ".join(f'"{word}"' for word in offered) or "a number"
        return _say(name, None, f"write {wanted}, not {answer!r}")
    if not offered and exercise["digits"] == 0 and abs(given - round(given)) > 1e-3:
        return _say(name, None, f"write a whole number, not {answer!r}")
    right = digest(name, given, exercise["digits"]) in exercise["digests"]
    if not right and not offered and _is_rounded(name, given, exercise):
        places = f"{exercise['digits']} decimal{'s' * (exercise['digits'] > 1)}"
        return _say(name, None, f"{answer!r} is near, but rounded: write {places}")
    return _say(name, right, f"Hint: {exercise['hint']}")


def _word(answer: Any, offered: Iterable[str]) -> str | None:
    """Return the offered word that an answer is, in lower case, or None.

    A letter may have its bracket or its sentence: "C)" and "c: for lambda_1 is lambda_0" are c.
    """
    word = str(answer).partition(":")[0].strip(" .)('\"").lower()
    return word if word in [own.lower() for own in offered] else None


def _number(answer: Any) -> float | None:
    """Return an answer as a finite number, or None; text such as "0.5" is one, True is none."""
    if isinstance(answer, bool | np.bool_):
        return None
    try:
        return float(answer) if math.isfinite(float(answer)) else None
    except (TypeError, ValueError, RuntimeError):
        return None


def _is_rounded(name: str, given: float, exercise: dict[str, Any]) -> bool:
    """Return whether `given` is the answer with too few decimals, but with two digits or more."""
    own = Decimal(str(given)).normalize()
    decimals = max(0, -own.as_tuple().exponent)
    missing = exercise["digits"] - decimals
    if missing < 1 or len(own.as_tuple().digits) < 2:
        return False
    step = 10.0 ** -exercise["digits"]
    half = 10**missing // 2
    near = (given + step * k for k in range(-half, half + 1))
    return any(digest(name, value, exercise["digits"]) in exercise["digests"] for value in near)


def digest(name: str, answer: Any, digits: int) -> str:
    """Return 16 hex digits of an answer.

    A number is rounded to `digits` decimals, a word is taken in lower case.
    """
    if isinstance(answer, str):
        text = answer.strip().lower()
    else:
        text = f"{round(float(answer), digits) + 0.0:.{max(0, digits)}f}"  # + 0.0 makes -0.0 zero
    return hashlib.sha256(f"hagan {name} {text}".encode()).hexdigest()[:16]


class Case(NamedTuple):
    """Hold one call of a function that a reader writes; its arguments need no gradient.

    `words` complete the sentence "For ...". `expected` is a number or tensor, or a tuple of them.
    """

    words: str
    arguments: tuple
    expected: Any


def check_function(
    name: str, mine: Callable, cases: list[Case], tolerance: float = 1e-4
) -> bool | None:
    """Return whether `mine` gives what every case expects; print the first thing that is wrong.

    None means that `mine` returned None in the first case, "not written yet". Values may differ by
    `tolerance`. Each call gets copies of a case's arguments, so that `mine` may change them. Raises
    ValueError without a case, as after a cell that made the cases and was interrupted.
    """
    if not cases:
        raise ValueError(f"exercise {name} has no cases: run the cells above, then this one")
    for number, (words, arguments, expected) in enumerate(cases):
        own = copy.deepcopy(arguments)
        try:
            returned = mine(*own)
        except Exception as error:
            return _say(name, False, f"For {words}, it raises {type(error).__name__}: {error}")
        if returned is None and number == 0:
            return _say(name, None, "no answer yet: the function returns None")
        if returned is None:
            return _say(name, False, f"For {words}, it returns nothing.")
        if wrong := _difference(returned, expected, tolerance):
            return _say(name, False, f"For {words}, {wrong}.")
    return _say(name, True)


def _difference(returned: Any, expected: Any, tolerance: float) -> str:
    """Return in words how `returned` differs from `expected`; an empty string if it does not."""
    if isinstance(expected, tuple):
        if not isinstance(returned, tuple | list) or len(returned) != len(expected):
            return f"it should return {len(expected)} things, separated by a comma"
        for i, (part, wanted) in enumerate(zip(returned, expected, strict=True), 1):
            if wrong := _difference(part, wanted, tolerance):
                return f"of the {len(expected)} things that it returns, look at number {i}: {wrong}"
        return ""
    wanted = torch.as_tensor(expected, dtype=torch.float64)
    try:
        got = torch.as_tensor(returned, dtype=torch.float64).to(wanted.device)
    except (TypeError, ValueError, RuntimeError):
        return f"it returns a {type(returned).__name__}, not a number or tensor"
    wrong = _wrong_values(got, wanted, tolerance)
    if wrong and isinstance(expected, bool):
        return f"it gives {returned} and should give {expected}"
    return wrong


def _wrong_values(got: Tensor, wanted: Tensor, tolerance: float) -> str:
    """Return in words how tensors differ by more than `tolerance`; an empty string if none does."""
    if got.shape != wanted.shape:
        return f"the shape is {tuple(got.shape)} and should be {tuple(wanted.shape)}"
    if not got.isfinite().all():
        return "it gives nan or infinity"
    error = (got - wanted).abs()
    if error.numel() == 0 or error.max() <= tolerance:
        return ""
    if got.ndim == 0:
        return f"it gives {got:.4g} and should give {wanted:.4g}"
    wrong = error > tolerance
    share = f"{wrong.double().mean():.0%} of the values are wrong"
    if got.ndim == 1 and len(got) <= 6:
        return f"{share}: it gives {_row(got)} and should give {_row(wanted)}"
    first = tuple(wrong.nonzero()[0].tolist())
    values = f"it gives {got[first]:.4g} and should give {wanted[first]:.4g}"
    return f"{share}: at {list(first)} {values}"


def _row(values: Tensor) -> str:
    """Return a short tensor (n,) as text, with four digits of each number."""
    return "[" + ", ".join(f"{value:.4g}" for value in values.tolist()) + "]"


def _say(name: str, right: bool | None, why: str = "") -> bool | None:
    """Print the verdict on an exercise, and return it."""
    if right is None:
        print(f"Exercise {name}: {why or 'no answer yet'}.")
    else:
        print(f"Exercise {name}: " + ("right." if right else f"not yet. {why}"))
    return right


def predict(name: str, choice: str | None, *offered: str) -> None:
    """Note a prediction, one of the `offered`, before a cell shows what happens.

    None means that nothing was chosen yet, or no longer. A choice that is not offered is not noted;
    then it prints what to write.
    """
    _predictions.pop(name, None)
    words = " or ".join(map(repr, offered))
    if choice is None:
        print(f"Prediction {name}: write {words} in place of None, and run this cell.")
    elif (word := _word(choice, offered)) is None:
        print(f"Prediction {name}: write {words}, not {choice!r}.")
    else:
        _predictions[name] = word
        print(f"Prediction {name}: {word!r} is noted. Now run the next cell.")


def outcome(name: str, happened: str) -> None:
    """Print what happened, beside the prediction that was noted under `name`."""
    said = _predictions.get(name)
    if said is None:
        print(f"Prediction {name}: the outcome is {happened!r}. You had noted nothing.")
    elif said == happened:
        print(f"Prediction {name}: you said {said!r}, and so it is.")
    else:
        print(f"Prediction {name}: you said {said!r}; the outcome is {happened!r}. Why?")
