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
    """Runs a server until the block ends; enters it when `ready`, an address, answers."""
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


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, on a free port of the loopback; its address."""
    home = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", home / "notebooks")
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
    """Opens a notebook, clears what is committed, and runs all its cells."""
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
    """Drags the slider "top of the box"; the picture and the label's bar change."""
    from playwright.sync_api import expect

    slider = page.locator(".widget-slider").filter(has_text="top of the box")
    expect(slider).to_be_visible(timeout=120_000)
    picture = page.locator("img.widget-image").first
    bars = page.locator(".widget-html-content").filter(has_text="the label")
    expect(bars.first).to_be_visible()
    picture.scroll_into_view_if_needed()
    before, text, position = (
        picture.get_attribute("src"),
        bars.first.inner_text(),
        slider.inner_text(),
    )
    slider.scroll_into_view_if_needed()
    handle = slider.locator(".noUi-handle").bounding_box()
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=6)
    page.mouse.up()
    expect(picture).not_to_have_attribute("src", before, timeout=20_000)
    expect(bars.first).not_to_have_text(text, timeout=20_000)
    assert slider.inner_text() != position


def test_a_student_runs_the_first_notebook(lab, page):
    from playwright.sync_api import expect

    run_all(page, lab, "00_start_here")
    # The gallery and the mixed batch appear, and the count at the end; nothing in between raised.
    expect(page.get_by_text("D, image branch    2,764,737")).to_be_visible(timeout=120_000)
    expect(page.locator(".jp-RenderedImage img")).to_have_count(2)
    page.locator(".jp-RenderedImage img").first.scroll_into_view_if_needed()
    expect(page.locator(".jp-RenderedImage img").first).to_be_in_viewport()
    assert errors(page) == 0
    assert page.elsewhere == []  # no request leaves the machine


def test_a_student_drags_the_box_in_the_attnmix_lesson(lab, page):
    run_all(page, lab, "06_attnmix")
    drag_the_box(page)
    assert errors(page) == 0
    assert page.elsewhere == []


def test_the_explorer_is_a_page_of_its_own(tmp_path, page):
    """What `make explore` serves."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "voila",
        str(ROOT / "notebooks" / "explore_attnmix.ipynb"),
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
