"""Write environment.yml from pyproject.toml; with --check, fail where the two differ."""

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment() -> str:
    """Return the conda environment: every dependency by pip, for several are on PyPI alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = project["dependencies"] + project["optional-dependencies"]["dev"]
    lines = [
        "# Generated from pyproject.toml by scripts/environment.py; change it there.",
        "# conda env create -f environment.yml && conda activate hagan_lite && hagan reproduce",
        "name: hagan_lite",
        "channels: [conda-forge]",
        "dependencies:",
        f"  - python{project['requires-python']}",
        "  - pip",
        "  - pip:",
        *(f"      - {package}" for package in packages),
        "      - -e .",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    path, wanted = ROOT / "environment.yml", environment()
    if "--check" not in sys.argv:
        path.write_text(wanted)
    elif not path.exists() or path.read_text() != wanted:
        sys.exit(
            "environment.yml is not what pyproject.toml says; run: python scripts/environment.py"
        )
