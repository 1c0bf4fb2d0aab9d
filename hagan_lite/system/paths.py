"""Where things lie: the checkout, what a machine makes, committed records."""

import os
from pathlib import Path

_checkout = Path(__file__).resolve().parents[2]
ROOT = _checkout if (_checkout / "pyproject.toml").is_file() else Path.cwd()
"""Root of the checkout; the current folder where the package was installed without one."""


def chosen(variable: str, default: str) -> Path:
    """Return the folder that an environment variable names, else `default`; ~ is the home folder.

    A relative path starts at the checkout: it means the same in a shell and in a notebook. A
    variable that is set to nothing counts as unset.
    """
    return ROOT / Path(os.environ.get(variable, "").strip() or default).expanduser()


BUILD = chosen("HAGAN_BUILD", "build")
"""Everything a machine makes: caches, runs, records, figures; nothing here is committed."""
RUNS = BUILD / "runs"
RECORDS = BUILD / "results"
COMMITTED = ROOT / "data" / "results"
"""Records that were committed; those of this machine are in RECORDS."""
SEARCHED, SEARCH_SEED = COMMITTED / "search", 3
"""Committed records of the search for a better HAGAN, and its seed, which no other row counts."""
UNTRAINED = COMMITTED / "untrained"
"""Committed records of generators whose weights no step has moved (lr_g = 0)."""


def short(path: Path) -> Path:
    """Return a path relative to the working directory where it lies below it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
