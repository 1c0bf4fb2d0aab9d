"""Rules of the house that a machine can check: thin modules, imports in one direction, nothing of this machine."""

import ast
import re
import subprocess

import pytest

from hagan_lite.system.paths import ROOT

MODULES = {p.stem: p.read_text() for p in (ROOT / "hagan_lite").glob("*.py")}
FLOW = ["config", "storage", "cache", "runtime", "pixels", "data", "generator", "discriminator", "attnmix", "augment"]
FLOW += [
    "losses",
    "model",
    "hagan",
    "complexity",
    "inception",
    "features",
    "metrics",
    "audit",
    "runs",
    "evaluation",
    "train",
    "results",
    "tables",
]
FLOW += [
    "figure7",
    "figures",
    "figures_attnmix",
    "figures_evaluation",
    "figures_lessons",
    "pretrained",
    "explorers",
    "widgets",
    "exercises",
]
FLOW += [
    "notebooks",
    "grids",
    "claims_printed",
    "claims",
    "evidence",
    "cells",
    "batch",
    "options",
    "cli_data",
    "cli_batch",
    "cli",
]
DATASETS = {p.stem: p.read_text() for p in (ROOT / "hagan_lite" / "datasets").glob("*.py")}


def imported(source):
    """The modules of this package that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hagan_lite"):
            inner = node.module.removeprefix("hagan_lite").removeprefix(".")
            found |= {inner} if inner else {a.name for a in node.names}
    return found & set(MODULES)


@pytest.mark.parametrize("name", FLOW)
def test_imports_point_along_the_flow(name):
    assert imported(MODULES[name]) <= set(FLOW[: FLOW.index(name)])


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_a_data_sets_file_knows_pixels_and_files_only(name):
    assert imported(DATASETS[name]) <= {"pixels", "storage", "config"}


def test_every_module_is_on_the_map():
    assert set(MODULES) - {"__init__", "__main__"} == set(FLOW)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_module_opens_with_what_it_is_for(name):
    assert ast.get_docstring(ast.parse(MODULES[name]))


def test_no_image_of_a_data_set_and_no_large_file_is_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    pictures = [p for p in paths if re.search(r"\.(png|jpe?g|bmp|tiff?|nii|nii\.gz|dcm)$", p.name)]
    assert all(p.parent == ROOT / "figures" for p in pictures)
    shipped = [p for p in paths if p.is_relative_to(ROOT / "data" / "checkpoints")]
    assert max(p.stat().st_size for p in shipped) <= 3_000_000
    assert max(p.stat().st_size for p in set(paths) - set(shipped)) < 1_000_000
