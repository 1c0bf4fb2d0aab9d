"""Adds or replaces an exercise's self-check in hagan_lite/lessons/exercises.json.

    python scripts/exercises.py 06.1 --hint "Where is the mass of A?" --digits 2 0.75
    python scripts/exercises.py 06.3 --hint "What is lambda_1 then?" true

Several answers are all right. A number should be far from where rounding to --digits would flip it.
"""

import argparse
import json

from hagan_lite.lessons.exercises import FILE, digest
from hagan_lite.system.storage import write_json


def number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name")
    parser.add_argument("answers", nargs="+", type=number)
    parser.add_argument("--hint", required=True)
    parser.add_argument("--digits", type=int, default=3)
    a = parser.parse_args()
    exercises = json.loads(FILE.read_text()) if FILE.exists() else {}
    exercises[a.name] = dict(
        hint=a.hint, digits=a.digits, digests=[digest(a.name, x, a.digits) for x in a.answers]
    )
    write_json(FILE, dict(sorted(exercises.items())))
