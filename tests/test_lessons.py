"""What stands around the lessons: the handout's code is the module's, links lead somewhere."""

import re

import nbformat
import pytest
import yaml

from hagan_lite.report.claims import CLAIMS
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


def sources(path):
    return "\n".join(c.source for c in nbformat.read(path, 4).cells)


def lessons(first):
    """Return the paths of the lessons from number `first` on."""
    return [p for p in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")) if p.name[:2] >= first]


def test_every_lesson_has_exercises_that_check_themselves():
    for path in lessons("00"):
        names = re.findall(r'check(?:_function)?\("(\d\d\.\d)"', sources(path))
        assert names and all(name.startswith(path.name[:2]) for name in names), path.name
        solved = sources(NOTEBOOKS / "solutions" / path.name)
        for name in names:
            assert re.search(rf'assert check(_function)?\("{name}"', solved), name


def test_from_09_on_a_function_is_written():
    for path in lessons("09"):
        assert "check_function(" in sources(path), path.name


def test_the_lessons_from_02_on_ask_before_they_show():
    """Every prediction has its outcome, in a later cell, and a lesson has at most 1,200 words."""
    for path in lessons("02"):
        cells = nbformat.read(path, 4).cells
        text = sources(path)
        asked = re.findall(r'predict\("(\S+?)"', text)
        assert asked == sorted(asked) == re.findall(r'outcome\("(\S+?)"', text), path.name
        for name in asked:
            assert text.index(f'predict("{name}"') < text.index(f'outcome("{name}"')
        words = sum(len(c.source.split()) for c in cells if c.cell_type == "markdown")
        assert asked and words <= 1200, f"{path.name}: {words} words"


THE_PAPER = ROOT.parent / "shared" / "paper" / "hagan.txt"


@pytest.mark.skipif(not THE_PAPER.exists(), reason="the paper's text is not here")
def test_what_lessons_and_claims_quote_from_the_paper_stands_there():
    """Where a lesson names its place in the paper, and where it reads the paper critically."""

    def plain(text):
        return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()

    paper, quoted = plain(THE_PAPER.read_text()), 0
    texts = {"claims.yaml": [c["claim"] for c in yaml.safe_load(CLAIMS.read_text())]}
    for path in lessons("00"):
        cells = nbformat.read(path, 4).cells
        text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
        about = re.findall(r"^\*\*Paper\.\*\*.*", text, re.M)
        headings = "Reading the paper critically|What the paper leaves open"
        about += re.findall(rf"^## (?:{headings}).*?(?=^## |\Z)", text, re.M | re.S)
        texts[path.name] = about
    for name, about in texts.items():
        for quotation in re.findall(r'"([^"]+)"', "\n".join(about)):
            if len(quotation.split()) > 2:
                assert plain(quotation) in paper, f"{name}: {quotation}"
                quoted += 1
    assert quoted > 10
