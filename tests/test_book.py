"""`make book`: pages, order, explorers and mathematics, and nothing fetched from elsewhere."""

import http.server
import os
import shutil
import sys
import threading
from functools import partial
from pathlib import Path

import nbformat
import pytest

from hagan_lite.system.paths import BUILD, ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import book  # scripts/book.py

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


TOC = """
format: jb-book
root: notebooks/README
parts:
- caption: Lessons
  chapters:
  - file: notebooks/00_one
  - file: notebooks/01_two
- caption: To look up
  chapters:
  - file: notebooks/glossary
- caption: Solutions
  chapters:
  - file: notebooks/solutions/00_one
"""


def cell(*sources):
    cells = [
        nbformat.v4.new_markdown_cell(sources[0]),
        *map(nbformat.v4.new_code_cell, sources[1:]),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A book of a page of text and two notebooks, one with an explorer and a progress bar."""
    root = tmp_path_factory.mktemp("book")
    (root / "notebooks" / "solutions").mkdir(parents=True)
    (root / "notebooks" / "README.md").write_text(
        "# Plan\n\n[the lesson](00_one.ipynb), [a word](glossary.md)\n"
    )
    (root / "notebooks" / "glossary.md").write_text(
        f"# Words\n\n**AttnMix.** $\\lambda$, `a_name_that_is_{'much_' * 9}too_long`.\n"
    )
    explorer = "from hagan_lite.lessons import widgets\n\nwidgets.FrechetExplorer(n=37)"
    bar = "import ipywidgets\n\nipywidgets.IntProgress(description='a bar')"
    lesson = cell("# One\n\n$$ i = M x $$\n\nsee [two](01_two.ipynb)", explorer, bar)
    nbformat.write(lesson, root / "notebooks" / "00_one.ipynb")
    nbformat.write(cell("# Two", "print('printed by two')"), root / "notebooks" / "01_two.ipynb")
    nbformat.write(cell("# Solved", "1 + 1"), root / "notebooks" / "solutions" / "00_one.ipynb")
    before = (root / "notebooks" / "00_one.ipynb").read_bytes()
    (root / "book").mkdir()
    (root / "book" / "_toc.yml").write_text(TOC)
    index = book.build(book.pages(root), root / "site", root)
    assert (
        root / "notebooks" / "00_one.ipynb"
    ).read_bytes() == before  # executed elsewhere, never in place
    return index.parent


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind():
    yield
    for name in ("00_one", "01_two", "solutions/00_one"):
        (BUILD / "notebooks" / f"{name}.ipynb").unlink(missing_ok=True)


def test_every_page_is_there_in_order(site):
    html = (site / "notebooks" / "README.html").read_text()
    places = [
        html.index(f'href="{name}.html"')
        for name in ("00_one", "01_two", "glossary", "solutions/00_one")
    ]
    assert places == sorted(places)
    assert "printed by two" in (site / "notebooks" / "01_two.html").read_text()


def test_explorers_come_with_their_state_and_nothing_is_fetched_from_elsewhere(site):
    html = (site / "notebooks" / "00_one.html").read_text()
    assert '"n": 37' in html and "widget-view" not in html
    assert book.problems(site) == []


def test_a_page_that_fetches_from_elsewhere_is_refused(tmp_path):
    (tmp_path / "a.html").write_text(
        '<script src="https://example.org/x.js"></script><a href="gone.html">x</a>'
    )
    sentences = "\n".join(book.problems(tmp_path))
    assert "fetches https://example.org/x.js" in sentences
    assert "leads nowhere: gone.html" in sentences


def test_a_page_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SystemExit, match="no such page.*99_none"):
        book.build([Path("notebooks/99_none.ipynb")], tmp_path / "site")


def test_the_table_of_contents_lists_every_notebook_and_every_page_of_docs(tmp_path):
    listed = book.pages()
    assert len(listed) == len(set(listed)) and listed[0] == Path("notebooks/README.md")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").write_text("root: docs/one\nparts: []\n")
    with pytest.raises(SystemExit, match="lists docs/one, and there is no such"):
        book.pages(tmp_path)
    (tmp_path / "docs").mkdir()
    for name in ("one", "two"):
        (tmp_path / "docs" / f"{name}.md").touch()
    with pytest.raises(SystemExit, match=r"does not list docs/two\.md; add it"):
        book.pages(tmp_path)


def test_every_markdown_file_that_a_page_links_to_is_a_page(tmp_path):
    listed = book.pages()
    book.linked(listed)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").write_text("root: docs/one\nparts: []\n")
    for folder in ("docs", "figures"):
        (tmp_path / folder).mkdir()
    (tmp_path / "docs" / "one.md").write_text("[numbers](../figures/two.md)")
    (tmp_path / "figures" / "two.md").write_text("[a picture](three.png)")
    with pytest.raises(SystemExit, match=r"figures/two\.md: list it"):
        book.linked(book.pages(tmp_path), tmp_path)


def test_an_edit_anywhere_in_the_package_makes_an_executed_copy_stale(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(book, "BUILD", tmp_path)
    monkeypatch.setattr(book, "execute", lambda name, copy: made.append(name) or copy.touch())
    module = tmp_path / "hagan_lite" / "datasets" / "cache.py"
    lesson = tmp_path / "root" / "a.ipynb"
    for file in (module, lesson):
        file.parent.mkdir(parents=True)
        file.touch()
    of_package = book.made_from(tmp_path)
    assert of_package == [module]
    monkeypatch.setattr(book, "made_from", lambda: of_package)
    for _ in range(2):
        book.executed(Path("a.ipynb"), tmp_path / "root")
    assert len(made) == 1
    later = (tmp_path / "a.ipynb").stat().st_mtime + 5
    os.utime(module, (later, later))
    book.executed(Path("a.ipynb"), tmp_path / "root")
    assert len(made) == 2


@pytest.fixture(params=["server", "file system"])
def start(request, site):
    """Return the address of the site: on a server, and as files."""
    if request.param == "file system":
        yield f"file://{site}/"
        return

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; .ci/run installs it")
def test_the_explorer_is_alive_in_a_browser_without_a_kernel(start):
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page, elsewhere = browser.new_page(), []
        page.on(
            "request",
            lambda r: (
                None if r.url.startswith((start, "data:", "blob:")) else elsewhere.append(r.url)
            ),
        )
        page.goto(start + "notebooks/00_one.html")
        words = page.locator(".explorer [data-what=words]")
        expect(words).to_contain_text("n = 37", timeout=30_000)
        page.get_by_role("application").press("ArrowRight")
        expect(words).not_to_contain_text("distance is 2.8")
        expect(page.locator("mjx-container").first).to_be_visible(timeout=30_000)
        assert elsewhere == []
        browser.close()


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; .ci/run installs it")
def test_a_narrow_page_with_a_long_name_needs_no_scrolling_sideways(site):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 400, "height": 800})
        page.goto(f"file://{site}/notebooks/glossary.html")
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 400
        browser.close()
