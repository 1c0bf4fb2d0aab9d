"""What stands around the lessons: the handout's code is the module's, links lead somewhere."""

import re

import nbformat

from hagan_lite.system.paths import ROOT

NOTEBOOKS = ROOT / "notebooks"


def squeezed(text):
    return re.sub(r"\s+", "", text)


def test_the_handouts_code_is_the_modules():
    rows = re.findall(r"\| `(.+)` \| `(\w+\.py)` \|", (NOTEBOOKS / "handout.md").read_text())
    assert len(rows) > 12
    for code, module in rows:
        assert squeezed(code) in squeezed((ROOT / "hagan_lite" / module).read_text()), code


def test_every_link_between_notebooks_leads_to_a_file():
    for path in NOTEBOOKS.rglob("*.ipynb"):
        for cell in nbformat.read(path, 4).cells:
            if cell.cell_type == "markdown":
                for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", cell.source):
                    assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_glossary_is_in_order_and_reached_from_the_start():
    words = re.findall(r"^\*\*(.+?)\.\*\*", (NOTEBOOKS / "glossary.md").read_text(), re.M)
    plain = [re.sub(r"^[^a-z]*", "", w.lower().replace("$\\", "").replace("$", "")) for w in words]
    assert plain == sorted(plain) and len(plain) > 25
    start = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", 4)
    assert "glossary.md" in start.cells[0].source + start.cells[-1].source


def test_every_lesson_from_00_to_08_has_exercises_that_check_themselves():
    for path in sorted(NOTEBOOKS.glob("0[0-8]_*.ipynb")):
        sources = "\n".join(c.source for c in nbformat.read(path, 4).cells)
        solved = "\n".join(
            c.source for c in nbformat.read(NOTEBOOKS / "solutions" / path.name, 4).cells
        )
        names = re.findall(r'check\("(\d\d\.\d)"', sources)
        assert names and all(name.startswith(path.name[:2]) for name in names), path.name
        assert all(f'assert check("{name}"' in solved for name in names), path.name
