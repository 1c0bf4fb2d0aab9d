"""`make book`: pages, order, widgets and mathematics, without asking another machine for anything."""

import http.server
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

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def cell(*sources):
    cells = [nbformat.v4.new_markdown_cell(sources[0]), *map(nbformat.v4.new_code_cell, sources[1:])]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A book of two notebooks, one with a widget, a glossary, a page of docs/ and a table that it links to."""
    root = tmp_path_factory.mktemp("book")
    (root / "notebooks" / "solutions").mkdir(parents=True)
    (root / "notebooks" / "README.md").write_text("# Plan\n\n[the lesson](00_one.ipynb), [a word](glossary.md)\n")
    (root / "notebooks" / "glossary.md").write_text("# Words\n\n**AttnMix.** $\\lambda$.\n")
    (root / "docs").mkdir()
    (root / "figures").mkdir()
    (root / "docs" / "results.md").write_text("# Results\n\n[a table](../figures/table.md)\n")
    (root / "figures" / "table.md").write_text("| a |\n| --- |\n| 1 |\n")
    slider = "import ipywidgets\n\nipywidgets.IntSlider(value=37, description='of the box')"
    lesson = cell("# One\n\n$$ i = M x $$\n\nsee [two](01_two.ipynb)", slider)
    nbformat.write(lesson, root / "notebooks" / "00_one.ipynb")
    nbformat.write(cell("# Two", "print('printed by two')"), root / "notebooks" / "01_two.ipynb")
    nbformat.write(cell("# Solved", "1 + 1"), root / "notebooks" / "solutions" / "00_one.ipynb")
    before = (root / "notebooks" / "00_one.ipynb").read_bytes()
    index = book.build(book.pages(root), root / "site", root)
    assert (root / "notebooks" / "00_one.ipynb").read_bytes() == before  # executed elsewhere, never in place
    return index.parent


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind():
    yield
    for name in ("00_one", "01_two", "solutions/00_one"):
        (BUILD / "notebooks" / f"{name}.ipynb").unlink(missing_ok=True)


def test_every_page_is_there_in_order(site):
    html = (site / "notebooks" / "README.html").read_text()
    pages = ("00_one", "01_two", "glossary", "../docs/results", "../figures/table", "solutions/00_one")
    places = [html.index(f'href="{name}.html"') for name in pages]
    assert places == sorted(places)
    assert "printed by two" in (site / "notebooks" / "01_two.html").read_text()


def test_a_page_is_stale_after_an_edit_anywhere_in_the_package():
    names = {path.relative_to(ROOT).as_posix() for path in book.made_from()}
    assert {"hagan_lite/attnmix.py", "hagan_lite/baselines/ddpm.py", "data/claims.yaml"} <= names
    assert any(name.startswith("data/results/") for name in names)


def test_widgets_come_with_their_state_and_nothing_is_fetched_from_elsewhere(site):
    assert '"value": 37' in (site / "notebooks" / "00_one.html").read_text().replace('"value":37', '"value": 37')
    assert book.problems(site) == []


def test_a_page_that_fetches_from_elsewhere_is_found(tmp_path):
    (tmp_path / "a.html").write_text('<script src="https://example.org/x.js"></script><a href="gone.html">x</a>')
    found = "\n".join(book.problems(tmp_path))
    assert "fetches https://example.org/x.js" in found and "leads nowhere: gone.html" in found


def test_a_page_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SystemExit, match="no such page.*99_none"):
        book.build([Path("notebooks/99_none.ipynb")], tmp_path / "site")


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; .ci/run installs it")
def test_the_widget_shows_in_a_browser_without_a_kernel(site):
    from playwright.sync_api import expect, sync_playwright

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        with sync_playwright() as p:
            browser = p.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
            )
            page, elsewhere = browser.new_page(), []
            page.on(
                "request", lambda r: None if r.url.startswith((here, "data:", "blob:")) else elsewhere.append(r.url)
            )
            page.goto(here + "notebooks/00_one.html")
            slider = page.locator(".widget-slider").filter(has_text="of the box")
            expect(slider).to_be_visible(timeout=30_000)
            assert "37" in slider.inner_text()
            expect(page.locator("mjx-container").first).to_be_visible(timeout=30_000)
            assert elsewhere == []
            browser.close()
    finally:
        server.shutdown()
