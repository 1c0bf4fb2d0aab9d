"""Add or replace an exercise's self-check in hagan_lite/lessons/exercises.json.

    python scripts/exercises.py 06.1 0.75 --hint "Where is the mass of A?" --digits 2
    python scripts/exercises.py 06.3 c --offered a b c --hint "What is lambda_1 then?"

Several answers are all right. A number should be far from where rounding to --digits would flip it.
Where the answer is a word or a letter, --offered lists those to choose from; an exercise that is
replaced keeps its list if the option is not given; --offered without a word asks for a number.
"""

import argparse
import json
import math

from hagan_lite.lessons.exercises import FILE, digest
from hagan_lite.system.storage import write_json


def number(text: str) -> float | None:
    """Return an answer as a finite number, or None where it is none."""
    try:
        return float(text) if math.isfinite(float(text)) else None
    except ValueError:
        return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name")
    parser.add_argument("answers", nargs="+", type=str.lower)
    parser.add_argument("--hint", required=True)
    parser.add_argument("--digits", type=int, default=3)
    parser.add_argument("--offered", nargs="*", type=str.lower, help="words to choose from")
    a = parser.parse_args()
    exercises = json.loads(FILE.read_text()) if FILE.exists() else {}
    before = exercises.get(a.name, {}).get("offered", [])
    offered = before if a.offered is None else list(dict.fromkeys(a.offered))
    answers = a.answers if offered else [number(text) for text in a.answers]
    for text, answer in zip(a.answers, answers, strict=True):
        if answer is None:
            parser.error(f"{text!r} is no number: list the words to choose from with --offered")
        if offered and answer not in offered:
            parser.error(f"{text!r} is not among the words offered: {', '.join(offered)}")
    exercise = dict(
        hint=a.hint, digits=a.digits, digests=[digest(a.name, x, a.digits) for x in answers]
    )
    exercises[a.name] = exercise | (dict(offered=offered) if offered else {})
    write_json(FILE, dict(sorted(exercises.items())))
