"""JupyterLab as a student uses it: open a notebook in the browser, run it, see the pictures."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest

from hagan_lite.system.paths import ROOT

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
TOKEN = "hagan-test"

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; .ci/run installs it")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def served(command, environment, log, ready):
    """Run a server until the block ends; enter it when `ready`, an address, answers."""
    with open(log, "w") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 300
            while True:
                try:
                    urllib.request.urlopen(ready, timeout=60).close()
                    break
                except OSError:
                    assert server.poll() is None and time.monotonic() < deadline, log.read_text()[
                        -2000:
                    ]
                    time.sleep(0.3)
            yield
        finally:
            server.terminate()
            server.wait(20)


def own_folders(home):
    """Return an environment with Jupyter's settings and data in a temporary folder."""
    names = dict(
        JUPYTER_CONFIG_DIR="config",
        JUPYTER_DATA_DIR="data",
        JUPYTERLAB_WORKSPACES_DIR="spaces",
        IPYTHONDIR="ipython",
    )
    return (
        os.environ
        | {k: str(home / v) for k, v in names.items()}
        | {"JUPYTERLAB_SETTINGS_DIR": str(home / "settings")}
    )


def _shortened(toys):
    """Keep the first toy and what comes before it; Voilà's page below has all seven."""
    notebook = nbformat.read(toys, as_version=4)
    notebook.cells = notebook.cells[:6]
    nbformat.write(notebook, toys)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, on a free port of the loopback; its address."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "notebooks")
    _shortened(home / "notebooks" / "explorers.ipynb")
    settings = home / "settings" / "@jupyterlab"
    (settings / "apputils-extension").mkdir(parents=True)
    (settings / "notebook-extension").mkdir()
    quiet = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}
    (settings / "apputils-extension" / "notification.jupyterlab-settings").write_text(
        json.dumps(quiet)
    )
    whole = {"windowingMode": "none"}  # keep the cells that are out of sight in the page
    (settings / "notebook-extension" / "tracker.jupyterlab-settings").write_text(json.dumps(whole))
    port = free_port()
    options = [
        "--no-browser",
        "--ip",
        "127.0.0.1",
        "--port",
        str(port),
        "--ServerApp.port_retries=0",
        "--allow-root",
    ]
    options += [f"--IdentityProvider.token={TOKEN}", "--LabApp.extension_manager=readonly"]
    command = [sys.executable, "-m", "jupyter", "lab", str(home / "notebooks"), *options]
    ready = f"http://127.0.0.1:{port}/api/status?token={TOKEN}"
    with served(command, own_folders(home), home / "lab.log", ready):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page():
    """A page of a browser of its own; `page.elsewhere` lists requests that left the machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.elsewhere = []
        here = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")
        page.on(
            "request", lambda r: None if r.url.startswith(here) else page.elsewhere.append(r.url)
        )
        yield page
        browser.close()


def run_all(page, lab, name):
    """Open a notebook, clear what is committed, and run all its cells."""
    from playwright.sync_api import expect

    page.goto(f"{lab}/lab/tree/{name}.ipynb?token={TOKEN}&reset")
    expect(page.get_by_text("Python 3 (ipykernel) | Idle").first).to_be_visible(timeout=90_000)
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.get_by_text("Restart Kernel and Clear Outputs of All Cells").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(page.locator(".jp-RenderedImage img")).to_have_count(0, timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()


def errors(page):
    return page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count()


def drag_the_box(page):
    """Drag the box of the AttnMix explorer by 8 pixels down and right; the bars follow."""
    from playwright.sync_api import expect

    stage, bar = page.locator("[data-what=mixed]"), page.locator("[data-what=lambda1]")
    expect(stage).to_be_visible(timeout=120_000)
    stage.scroll_into_view_if_needed()
    before, box = bar.inner_text(), stage.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 0.4 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + box["width"] / 8, y + box["height"] / 8, steps=6)
    page.mouse.up()
    expect(bar).not_to_have_text(before, timeout=20_000)


def test_a_student_runs_the_first_notebook(lab, page):
    from playwright.sync_api import expect

    run_all(page, lab, "00_start_here")
    # The galleries, the schematic and the mixed batch appear, and the count at the end; nothing in
    # between raised.
    expect(page.get_by_text("D, image branch    2,764,737")).to_be_visible(timeout=120_000)
    expect(page.locator(".jp-RenderedImage img")).to_have_count(4)
    page.locator(".jp-RenderedImage img").first.scroll_into_view_if_needed()
    expect(page.locator(".jp-RenderedImage img").first).to_be_in_viewport()
    assert errors(page) == 0
    assert page.elsewhere == []  # no request leaves the machine


def test_a_student_drags_the_box_and_reads_the_label_in_python(lab, page):
    from playwright.sync_api import expect

    run_all(page, lab, "explorers")
    drag_the_box(page)
    reading = page.locator(".jp-CodeCell").filter(has_text="getattr(explorer")
    expect(reading.locator(".jp-OutputArea-output")).to_contain_text("lam", timeout=60_000)
    reading.locator(".cm-content").click()
    page.keyboard.press("Control+Enter")
    for name in ("lambda0", "lambda1", "lam"):
        shown = page.locator(f"[data-what={name}]").inner_text()
        expect(reading.locator(".jp-OutputArea-output")).to_contain_text(shown, timeout=60_000)
    cells = page.locator(".jp-Cell").count()
    for focused in (page.locator("[data-what=mixed]"), page.get_by_role("slider").first):
        for key in ("b", "x", "x"):  # they would add a cell and cut two
            focused.press(key)
    assert page.locator(".jp-Cell").count() == cells
    assert errors(page) == 0
    assert page.elsewhere == []


def test_the_explorers_are_a_page_of_their_own(tmp_path, page):
    """What `make explore` serves."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "voila",
        str(ROOT / "notebooks" / "explorers.ipynb"),
        "--no-browser",
    ]
    command += [f"--port={port}", "--Voila.ip=127.0.0.1", "--template=local"]
    environment = own_folders(tmp_path) | {"JUPYTER_PATH": str(ROOT / "book" / "jupyter")}
    ready = f"http://127.0.0.1:{port}/voila/static/voila.js"  # answers without starting a kernel
    with served(command, environment, tmp_path / "voila.log", ready):
        page.goto(f"http://127.0.0.1:{port}/", timeout=120_000)
        drag_the_box(page)
        assert page.get_by_text("Traceback").count() == 0
        assert page.elsewhere == []
