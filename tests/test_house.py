"""Rules of the house that a machine can check: thin modules, imports in one direction, nothing of this machine."""

import ast
import re
import subprocess

import pytest

from hagan_lite.config import ROOT

MODULES = {p.stem: p.read_text() for p in (ROOT / "hagan_lite").glob("*.py")}
FLOW = ["config", "storage", "runtime", "pixels", "data", "generator", "discriminator", "attnmix", "augment"]
FLOW += ["losses", "hagan", "metrics", "runs", "train", "results", "tables", "figures", "notebooks", "cli"]


def imported(source):
    """The modules of this package that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hagan_lite"):
            inner = node.module.removeprefix("hagan_lite").removeprefix(".")
            found |= {inner} if inner else {a.name for a in node.names}
    return found & set(MODULES)


def test_the_package_stays_thin():
    lines = {name: [line for line in text.splitlines() if line.strip()] for name, text in MODULES.items()}
    assert sum(map(len, lines.values())) < 2_000
    assert {name for name, text in lines.items() if len(text) > 200} == set()


@pytest.mark.parametrize("name", FLOW)
def test_imports_point_along_the_flow(name):
    assert imported(MODULES[name]) <= set(FLOW[: FLOW.index(name)])


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
    assert max(p.stat().st_size for p in paths) < 1_000_000
