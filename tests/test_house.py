"""Rules of the house that a machine can check: short files, imports that point down, no images."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

import grimp
import pytest

from hagan_lite.system.paths import ROOT

MODULES = sorted((ROOT / "hagan_lite").rglob("*.py"))


def test_imports_point_down():
    """The layers are in pyproject.toml; imports within functions count, too."""
    linted = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=ROOT, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout


def test_the_package_has_few_rooms_and_few_floors():
    """A room is a file or a folder directly in hagan_lite/; it stands above all that it imports."""
    graph, below = grimp.build_graph("hagan_lite"), {}
    for path in (ROOT / "hagan_lite").iterdir():
        room = f"hagan_lite.{path.stem}"
        if room in graph.modules:
            inside = {room} | graph.find_descendants(room)
            imported = {m for one in inside for m in graph.find_modules_directly_imported_by(one)}
            below[room] = {".".join(m.split(".")[:2]) for m in imported} - {room, "hagan_lite"}

    def floor(room):
        return 1 + max(map(floor, below[room]), default=0)

    assert len(below) <= 26
    assert max(map(floor, below)) <= 9


def test_a_model_registers_itself_and_nothing_loads_modules_by_name_but_the_room_of_the_baselines():
    by_name = {p.parent.name for p in MODULES if "import_module" in p.read_text()}
    assert by_name <= {"baselines", "datasets"}


def test_the_command_answers_and_a_worker_waits_for_its_notebook_without_torch():
    """What needs no network shall not wait for one to load, nor hold one in memory."""
    script = "import sys; from hagan_lite.cli import app; from hagan_lite.batch import notebooks; "
    script += "print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "hagan_lite" in done.stdout.split()
    assert not {"torch", "pandas"} & set(done.stdout.split())


def test_the_files_of_the_paper_stay_short():
    """Nine files have under 900 lines of code together, without docstrings and comments."""
    names = ["attnmix", "augment", "generator", "discriminator", "losses"]
    names += ["hagan", "model", "config", "train"]
    files = [ROOT / "hagan_lite" / f"{name}.py" for name in names]
    assert sum(lines_of_code(path.read_text()) for path in files) < 900


def lines_of_code(source):
    """Return how many lines have code on them: no comments, no docstrings."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE}
    silent |= {tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    every = tokenize.generate_tokens(io.StringIO(source).readline)
    tokens = [t for t in every if t.type not in silent]
    used = {line for t in tokens for line in range(t.start[0], t.end[0] + 1)}
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            used -= set(range(node.lineno, node.end_lineno + 1))
    return len(used)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_opens_with_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_no_image_of_a_data_set_and_no_large_file_is_committed():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]
    pictures = [p for p in paths if re.search(r"\.(png|jpe?g|bmp|tiff?|nii|nii\.gz|dcm)$", p.name)]
    shipped = [p for p in paths if p.is_relative_to(ROOT / "data" / "checkpoints")]
    generated = {p for p in shipped if p.parent.name == "samples"}
    assert all(p.parent == ROOT / "figures" for p in set(pictures) - generated)
    assert max(p.stat().st_size for p in shipped) <= 3_000_000
    assert max(p.stat().st_size for p in set(paths) - set(shipped)) < 1_000_000
