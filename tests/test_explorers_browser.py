"""The explorers in a real browser: their equations, the mouse, the keys, narrow and dark pages."""

import base64
import bisect
import math
import re
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.utils import vector_to_parameters

from hagan_lite import attnmix
from hagan_lite.evaluation import metrics
from hagan_lite.lessons import widgets
from hagan_lite.lessons.widgets import attnmix as mixing
from hagan_lite.lessons.widgets import chance, gan
from hagan_lite.lessons.widgets.base import HERE, module
from hagan_lite.lessons.widgets.frechet import four_points
from hagan_lite.lessons.widgets.walk import corner_weights

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
STATES, TOLERANCE = 100, 1e-3

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; .ci/run installs it")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        yield p.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )


TIMED = """
const plain = window.requestAnimationFrame.bind(window);
window.spent = [];
window.drawn = [];
window.requestAnimationFrame = (callback) => plain((now) => {
  const began = performance.now();
  callback(now);
  window.spent.push(performance.now() - began);
  window.drawn.push(now);
});
"""
"""Notes how long each drawing of a page takes, in `spent`, and its frame, in `drawn`."""


@pytest.fixture
def open_page(browser):
    """Return a function that opens a file without a network; nothing may be wrong on that page."""
    contexts, wrong = [], []

    def open_file(path, width=1100, scheme="light", **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(TIMED)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request", lambda r: wrong.append(r.url) if r.url.startswith(("http", "ws")) else None
        )
        page.goto(f"file://{path}")
        return page

    yield open_file
    for context in contexts:
        context.close()
    assert wrong == []


# Equations


def flat(*parts) -> list[float]:
    """Return all numbers of tensors and numbers, in their order."""
    return torch.cat([torch.as_tensor(part).double().flatten() for part in parts]).tolist()


def labels(rng):
    """Eq. 3-4 with a box, a map and a reading of it."""
    side, size = 8, 16
    saliency = torch.rand(1, side, side, generator=rng)
    painted = (torch.rand(side, side, generator=rng) > 0.7).float() * 255
    top, left = torch.randint(size - 4, (2,), generator=rng).tolist()
    height, width = torch.randint(1, 12, (2,), generator=rng).tolist()
    source = mixing.SOURCES[torch.randint(4, (1,), generator=rng)]
    sharpness, alpha = (
        (4 * torch.rand(1, generator=rng)).item(),
        torch.rand(1, generator=rng).item(),
    )
    inside = bool(torch.rand(1, generator=rng) < 0.5)
    state = dict(side=side, size=size, saliency=flat(saliency), source=source, alpha=alpha)
    state |= dict(sharpness=sharpness, painted=flat(painted), realInside=inside)
    state |= dict(box=[top, left, height, width])
    A = mixing.shape_map(saliency, source, sharpness, painted)
    M = mixing.box_mask(size, top, left, height, width, inside)
    at_size = attnmix.to_image_size(A, size)
    return state, flat(*attnmix.mixed_labels(M, at_size, alpha))


def attention_row(rng):
    """A row of A, what its ten largest take, and its entropy."""
    q, k = 2 * torch.randn(2, 64, 4, generator=rng)
    query = torch.randint(64, (1,), generator=rng).item()
    row = (q[query] @ k.T).softmax(0)
    entropy = torch.special.entr(row).sum() / math.log(len(row))
    state = dict(q=flat(q), k=flat(k), d=4, query=query)
    return state, flat(row, row.topk(10).values.sum(), entropy)


def place_of_a_walk(rng):
    """The nearest image, the corners' shares and the blend."""
    images, n = torch.rand(4, 12, generator=rng) * 255, 13
    u, v = torch.rand(2, generator=rng).tolist()
    at = round(v * (n - 1)) * n + round(u * (n - 1))
    shares = corner_weights(u, v)
    return dict(images=images.tolist(), place=[u, v], n=n), flat(at, shares, shares @ images)


def two_steps(rng):
    """Losses and weights after two steps of both networks."""
    widths, n = [6, 5], 8

    def network(*shape: int) -> torch.nn.Sequential:
        net = gan.mlp(*shape, seed=0).double()
        size = sum((a + 1) * b for a, b in pairwise(shape))
        random = 0.7 * torch.randn(size, generator=rng, dtype=torch.float64)
        vector_to_parameters(random, net.parameters())
        return net

    G, D = network(2, *widths, 2), network(2, *widths, 1)
    loss = ("minimax", "ns", "ls")[torch.randint(3, (1,), generator=rng)]
    settings = dict(loss=loss, lr_G=1e-3, lr_D=5e-3)
    state = dict(widths=widths, G=flat(gan.weights(G)), D=flat(gan.weights(D)), settings=settings)
    drawn = torch.randn(2, 5, n, 2, generator=rng, dtype=torch.float64)
    batches = [gan.Batch(*parts) for parts in drawn]
    state["batches"] = [{k: flat(v) for k, v in batch._asdict().items()} for batch in batches]
    game = gan.Game(G, D, **settings)
    losses = [torch.tensor(game.step(batch), dtype=torch.float64) for batch in batches]
    return state, flat(*losses, gan.weights(G), gan.weights(D))


def pushes(rng):
    """Fakes, and the gradient of G's loss with respect to each."""
    state, _ = two_steps(rng)
    G, D = gan.mlp(2, 6, 5, 2, seed=0).double(), gan.mlp(2, 6, 5, 1, seed=0).double()
    for net, name in ((G, "G"), (D, "D")):
        vector_to_parameters(torch.tensor(state[name], dtype=torch.float64), net.parameters())
    z = torch.randn(8, 2, generator=rng, dtype=torch.float64)
    game = gan.Game(G, D, **state["settings"])
    given = {k: state[k] for k in ("widths", "G", "D")}
    given |= dict(z=flat(z), loss=state["settings"]["loss"])
    return given, flat(G(z).detach(), game.push(z))


def distances(rng):
    """The distance of two Gaussians, and of two sets of points."""

    def cloud() -> dict[str, float]:
        x, y, a, b, angle = torch.rand(5, generator=rng).tolist()
        return dict(x=4 * x - 2, y=4 * y - 2, a=0.1 + a, b=0.1 + b, angle=6 * angle)

    real, fake = cloud(), cloud()
    n = torch.randint(2, 40, (1,), generator=rng).item()
    a, b = torch.randn(2, n, 2, generator=rng, dtype=torch.float64)
    clouds = metrics.frechet_distance(four_points(real), four_points(fake))
    state = dict(real=real, fake=fake, a=flat(a), b=flat(1.5 * b + 1))
    return state, [clouds, metrics.frechet_distance(a, 1.5 * b + 1)]


def chances(rng):
    """The verdict's p, and the chance that it decides."""
    difference, sd = (60 * torch.rand(2, generator=rng)).tolist()
    seeds, freedom = torch.randint(1, 30, (2,), generator=rng).tolist()
    explorer = widgets.ChanceExplorer({"a": [1.0]}, sd + 1, freedom)
    explorer.difference, explorer.seeds = difference, seeds
    state = dict(difference=difference, sd=sd + 1, seeds=seeds, freedom=freedom, level=0.05)
    return state, [explorer.p, explorer.power]


def needed(rng):
    """The least number of seeds with which a test decides four times in five."""
    ratio, level = 0.15 + 3 * torch.rand(1, generator=rng).item(), 0.05
    freedom = torch.randint(2, 100, (1,), generator=rng).item()
    critical = stats.t.isf(level / 2, freedom)

    def power(n: int) -> float:
        shift = ratio / math.sqrt(2 / n)
        return sum(stats.nct.sf(critical, freedom, sign * shift) for sign in (1, -1))

    least = 1 + bisect.bisect_left(range(1, 1001), 0.8, key=power)
    return dict(difference=10 * ratio, sd=10.0, freedom=freedom, level=level), [least]


def moment(rng):
    """Which line of a log and which snapshot belong to a step, and a mixed image."""
    logged = sorted(torch.randint(1, 500, (9,), generator=rng).tolist())
    step = torch.randint(logged[0], 600, (1,), generator=rng).item()
    real, fake = torch.randint(256, (2, 1, 1, 4, 4), generator=rng).float()
    M = (torch.rand(1, 1, 4, 4, generator=rng) > 0.5).float()
    state = dict(log=[{"step": s} for s in logged], steps=logged[::3], step=step)
    state |= dict(real=flat(real), fake=flat(fake), mask=flat(255 * M))
    line = max(s for s in logged if s <= step)
    snapshots = [i for i, s in enumerate(logged[::3]) if s <= step]
    return state, flat(line, snapshots[-1], attnmix.mix(real, fake, M))


@pytest.mark.parametrize(
    ("name", "equation", "draw"),
    [
        ("attnmix", "labels", labels),
        ("attention", "row", attention_row),
        ("walk", "place", place_of_a_walk),
        ("gan", "steps", two_steps),
        ("gan", "pushes", pushes),
        ("frechet", "distances", distances),
        ("chance", "chances", chances),
        ("chance", "needed", needed),
        ("training", "moment", moment),
    ],
)
def test_the_browser_computes_what_the_module_computes(browser, name, equation, draw):
    rng = torch.Generator().manual_seed(0)
    states, expected = zip(*(draw(rng) for _ in range(STATES)), strict=True)
    page = browser.new_page()
    script = """async ([text, equation, states]) => {
      const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
      const { equations } = await import(url);
      return states.map((state) => [...equations[equation](state)]);
    }"""
    computed = page.evaluate(script, [module(name), equation, list(states)])
    page.close()
    for ours, theirs in zip(expected, computed, strict=True):
        np.testing.assert_allclose(theirs, ours, atol=TOLERANCE)


# Pages


def chance_explorer():
    rows = {"one": [120.0, 130.0, 125.0], "other": [150.0, 141.0, 160.0]}
    return widgets.ChanceExplorer(rows, sd=9.0, freedom=20)


EXPLORERS = {
    "attnmix": lambda: widgets.AttnMixExplorer(n=4),
    "gan": lambda: widgets.GanPlayground(step=3),
    "attention": lambda: widgets.AttentionExplorer(n=2),
    "chance": chance_explorer,
    "frechet": lambda: widgets.FrechetExplorer(),
    "walk": lambda: widgets.LatentWalk(n=5),
    "training": lambda: widgets.TrainingViewer(),
}
GRABBED = dict(attnmix="mixed", attention="query", chance="bells", frechet="clouds", walk="pad")
GRABBED |= dict(training="chart")
"""What the mouse drags; the playground has sliders and buttons."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return the page of an explorer, by its name; each is made once."""
    folder, made = tmp_path_factory.mktemp("explorers"), {}

    def page_of(name):
        if name not in made:
            made[name] = EXPLORERS[name]().save(folder / f"{name}.html")
        return made[name]

    return page_of


def drag(page, node, start, end):
    """Drag within an element, from one share of its width and height to another."""
    node.scroll_into_view_if_needed()
    box = node.bounding_box()
    (x0, y0), (x1, y1) = (
        (box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in (start, end)
    )
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move(x1, y1, steps=30)
    page.mouse.up()


@pytest.mark.parametrize("name", GRABBED)
def test_dragging_changes_what_is_shown_without_a_kernel(saved, open_page, name, record_property):
    from playwright.sync_api import expect

    page = open_page(saved(name))
    for _ in range(2):  # and once more after the page is loaded again, without a network
        node = page.locator(f"[data-what={GRABBED[name]}]").first
        words = page.locator("[data-what=words], [data-what=shift]").first
        before = words.inner_text()
        drag(page, node, (0.6, 0.55), (0.35, 0.3))
        expect(words).not_to_have_text(before)
        frames = page.evaluate("window.spent")
        page.reload()
    slowest, median = max(frames), float(np.median(frames))
    record_property("milliseconds", dict(median=median, slowest=slowest))
    print(f"{name}: a frame takes {median:.1f} ms, the slowest {slowest:.1f}")


def test_the_box_follows_the_mouse_and_the_bars_follow_the_box(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("attnmix"))
    area = page.locator("[data-what=lambda0]")
    stage = page.locator("[data-what=mixed]")
    drag(page, stage, (0.9, 0.9), (0.4, 0.4))  # from outside the box: a new one
    expect(area).to_have_text(f"{1 - (32 / 64) ** 2:.3f}")
    drag(page, stage, (0.5, 0.5), (0.3, 0.3))  # from inside: it moves
    expect(area).to_have_text("0.750")
    stage.press("Shift+ArrowRight")
    expect(area).to_have_text(f"{1 - 32 * 33 / 64**2:.3f}")
    page.get_by_label("real", exact=True).check(force=True)
    expect(area).to_have_text(f"{32 * 33 / 64**2:.3f}")


class Fingers:
    """Touch an element of a page; each finger is at a share of its width and height."""

    def __init__(self, page, node):
        self._box = node.bounding_box()
        self._session = page.context.new_cdp_session(page)

    def __call__(self, kind, *places):
        box = self._box
        points = [
            dict(id=i, x=box["x"] + u * box["width"], y=box["y"] + v * box["height"])
            for i, (u, v) in enumerate(places)
        ]
        self._session.send("Input.dispatchTouchEvent", dict(type=kind, touchPoints=points))


def test_one_finger_drags_the_box_and_a_second_one_is_left_alone(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("attnmix"), width=400, has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": 400, "height": 500})  # so that the page could scroll
    area = page.locator("[data-what=lambda0]")
    touch = Fingers(page, page.locator("[data-what=mixed]"))
    start, end = (0.9, 0.9), (0.4, 0.4)
    touch("touchStart", start)  # outside the box: a new one
    for share in np.linspace(start, end, 6):
        touch("touchMove", share)
    expect(area).to_have_text("0.750")
    touch("touchStart", end, (0.1, 0.1))
    touch("touchMove", end, (0.2, 0.1))
    touch("touchMove", end)  # the second is lifted
    expect(area).to_have_text("0.750")
    touch("touchMove", (0.65, 0.4))  # the first is still held
    expect(area).to_have_text(f"{1 - 16 * 32 / 64**2:.3f}")
    touch("touchEnd")
    assert page.evaluate("[scrollY, visualViewport.scale]") == [0, 1]


def test_a_finger_scrolls_the_page_over_a_chart(saved, open_page):
    page = open_page(saved("training"), width=400, has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": 400, "height": 500})
    touch = Fingers(page, page.locator("[data-what=chart]").first)
    touch("touchStart", (0.5, 0.9))
    for v in np.linspace(0.9, -0.5, 8):
        touch("touchMove", (0.5, v))
    touch("touchEnd")
    page.wait_for_function("scrollY > 0")


def test_a_pressed_pixel_stays_when_the_mouse_leaves_for_the_buttons(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("attention"))
    words, stage = page.locator("[data-what=words]"), page.locator("[data-what=query]")
    at_first = words.inner_text()
    stage.hover(position={"x": 20, "y": 20})
    expect(words).not_to_have_text(at_first)  # a look
    stage.click(position={"x": 200, "y": 100})
    page.mouse.move(5, 5)
    expect(words).not_to_have_text(at_first)
    kept = words.inner_text()
    stage.hover(position={"x": 20, "y": 20})
    expect(words).not_to_have_text(kept)
    page.mouse.move(5, 5)
    expect(words).to_have_text(kept)


def test_every_press_of_an_arrow_key_moves_a_slider_with_ratios(saved, open_page):
    page = open_page(saved("frechet"))
    slider, seen = page.get_by_role("slider"), []
    slider.press("Home")
    for _ in range(12):
        seen.append(int(slider.get_attribute("aria-valuetext")))
        slider.press("ArrowRight")
    assert seen[0] == 2 and len(set(seen)) == len(seen)


def test_arrow_keys_go_by_whole_steps_through_a_short_run(open_page, tmp_path):
    from playwright.sync_api import expect

    viewer = widgets.TrainingViewer()
    viewer.step = 0
    viewer._log, viewer._last = viewer._log[:2], 20
    page = open_page(viewer.save(tmp_path / "short.html"))
    page.locator("[data-what=chart]").first.press("ArrowRight")
    expect(page.get_by_role("slider")).to_have_value("1")


class Kernel:
    """Show an explorer on an empty page, and set its traits as a kernel does."""

    def __init__(self, page, explorer):
        self._page = page
        text = module("training") + (HERE / "frame.js").read_text(encoding="utf-8")
        page.evaluate(
            """async ([text, state, texts]) => {
              const blob = new Blob([text, "export { savedModel };"], { type: "text/javascript" });
              const { savedModel, default: explorer } = await import(URL.createObjectURL(blob));
              window.model = savedModel(state, texts);
              window.bytesOf = (texts) => savedModel({}, texts);
              explorer.render({ model: window.model, el: document.body });
            }""",
            [text, *self._parts(explorer)],
        )

    def send(self, explorer):
        """Set every trait to that of another explorer, the log last."""
        self._page.evaluate(
            """([state, texts]) => {
              const data = window.bytesOf(texts);
              for (const name of Object.keys(texts)) window.model.set(name, data.get(name));
              for (const [name, value] of Object.entries(state)) window.model.set(name, value);
              window.model.set("_log", state._log);
            }""",
            self._parts(explorer),
        )

    @staticmethod
    def _parts(explorer):
        state = explorer.get_state(explorer.trait_names(sync=True))
        data = {k: bytes(v) for k, v in state.items() if isinstance(v, bytes | memoryview)}
        plain = {
            k: v for k, v in state.items() if k not in data and k not in ("_esm", "_css", "layout")
        }
        return [plain, {k: base64.b64encode(v).decode() for k, v in data.items()}]


def test_a_viewer_of_an_empty_folder_shows_the_run_that_comes(open_page, tmp_path):
    from playwright.sync_api import expect

    page = open_page(widgets.FrechetExplorer().save(tmp_path / "page.html"))
    page.evaluate("document.body.replaceChildren()")
    kernel = Kernel(page, widgets.TrainingViewer(tmp_path))
    run = widgets.TrainingViewer()
    kernel.send(run)
    sides = "nodes => nodes.map((node) => node.width)"
    pictures = page.locator("canvas")
    expect(pictures).to_have_count(run._n_samples + 2 * run._n_mixed)
    assert set(pictures.evaluate_all(sides)) == {64}
    run._size, run._log = 32, run._log[:-1]  # another run in the same folder
    kernel.send(run)
    expect(page.locator("canvas[width='32']")).to_have_count(run._n_samples + 2 * run._n_mixed)


def test_a_chart_keeps_the_keys_and_phase_two_is_marked_once_it_began(open_page, tmp_path):
    from playwright.sync_api import expect

    page = open_page(widgets.FrechetExplorer().save(tmp_path / "page.html"))
    page.evaluate("document.body.replaceChildren()")
    run = widgets.TrainingViewer()
    whole = run._log
    run.step = 0
    run._log, run._last = whole[:5], whole[4]["step"]
    kernel = Kernel(page, run)
    charts, marks = page.locator("[data-what=chart]"), page.locator("[data-what='phase two']")
    expect(marks).to_have_count(0)
    charts.nth(1).focus()
    run._log, run._last = whole, whole[-1]["step"]
    kernel.send(run)
    expect(marks).to_have_count(charts.count())
    expect(charts.nth(1)).to_be_focused()
    run._phase_two = None  # a baseline without T
    run._log = whole[:-1]
    kernel.send(run)
    expect(marks).to_have_count(0)
    expect(page.locator(".explorer")).not_to_contain_text("phase")


def places_of_bells(page):
    """Return the middles of the two bells, and the mean place of the dots of each row."""
    return page.evaluate("""() => {
      const picture = document.querySelector("[data-what=bells] svg");
      const middle = (node) => node.getBBox().x + node.getBBox().width / 2;
      const bells = [...picture.querySelectorAll("path")].slice(0, 2).map(middle);
      const dots = {};
      for (const dot of picture.querySelectorAll("circle"))
        (dots[dot.getAttribute("fill")] ??= []).push(Number(dot.getAttribute("cx")));
      const mean = (values) => values.reduce((a, b) => a + b) / values.length;
      return [bells, Object.values(dots).map(mean)];
    }""")


@pytest.mark.parametrize(("row", "rival"), [("one", "other"), ("other", "one")])
def test_a_bell_stands_over_the_runs_of_its_row_and_follows_the_mouse(saved, open_page, row, rival):
    from playwright.sync_api import expect

    page = open_page(saved("chance"))
    for select, name in zip(page.locator("select").all(), (row, rival), strict=True):
        select.select_option(name)
    page.wait_for_function("document.querySelector('[data-what=bells] circle')")
    bells, dots = places_of_bells(page)
    assert bells == pytest.approx(dots, abs=0.5)
    stage, circles = page.locator("[data-what=bells]"), page.locator("[data-what=bells] circle")
    drag(page, stage, (0.5, 0.5), (0.55, 0.5))
    expect(circles).to_have_count(0)  # the difference is the reader's own now
    (_, moved), _ = places_of_bells(page)
    assert moved - bells[1] == pytest.approx(0.05 * 460, abs=2)


def test_a_slider_makes_the_difference_the_readers_own(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("chance"))
    row = page.locator("select").first
    row.select_option("one")
    page.get_by_label("difference in FD").press("ArrowRight")
    expect(row).to_have_value(chance.OWN)


def test_near_a_corner_of_the_walk_the_blend_is_that_corners_image(saved, open_page):
    page = open_page(saved("walk"))
    drag(page, page.locator("[data-what=pad]"), (0.5, 0.5), (0.95, 0.04))
    page.wait_for_timeout(100)  # a frame
    pictures = page.locator("figure.explorer-medium > canvas")
    walked, blended = pictures.evaluate_all("nodes => nodes.map((node) => node.toDataURL())")
    assert walked == blended


def test_the_map_says_when_its_colours_become_logarithmic(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("attnmix"))
    scale, sharpness = page.locator("[data-what=scale]"), page.get_by_label("sharpness of A")
    sharpness.fill("0")
    expect(scale).to_contain_text("1.0 times")
    expect(scale).to_contain_text("linear")
    sharpness.fill("4")
    page.get_by_label("received").check(force=True)
    expect(scale).to_contain_text("logarithmic")


def test_what_is_fake_ends_at_1_and_the_shift_is_split_where_alpha_is_not_a_half(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("attnmix"))
    page.get_by_label("α of Eq. 4").fill("0.8")
    area, saliency, lam = (page.locator(f"[data-what={k}]") for k in ("lambda0", "lambda1", "lam"))
    expect(page.locator(".explorer-bar > b").first).to_be_visible()
    numbers = [float(node.inner_text()) for node in (area, saliency, lam)]
    shift = page.locator("[data-what=shift]").inner_text().replace("−", "-")
    stated = [float(part) for part in re.findall(r"= ([+-][\d.]+\d)", shift)]
    expected = [numbers[2] - numbers[0], 0.8 * (numbers[1] - numbers[0])]
    assert stated == pytest.approx(expected, abs=2e-3)
    orange = "node => parseFloat(getComputedStyle(node, '::before').width) / node.clientWidth"
    share = page.locator(".explorer-bar").first.evaluate(orange)
    assert share == pytest.approx(1 / 1.6, abs=0.01)


def test_painting_makes_the_map_the_painted_one(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("attnmix"))
    before = page.locator("[data-what=lambda1]").inner_text()
    drag(page, page.locator("[data-what=map]"), (0.1, 0.1), (0.2, 0.2))
    expect(page.locator("[data-what=lambda1]")).to_have_text("1.000")  # far from the fake box
    assert before != "1.000"
    expect(page.get_by_label("painted")).to_be_checked()


def test_the_games_play_and_can_be_scrubbed_back(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("gan"))
    table = page.locator("[data-what=left] table")
    expect(page.locator("[aria-busy=false]")).to_be_attached()  # three steps are trained
    third = table.inner_text()
    page.get_by_role("button", name="play").click()
    expect(table).not_to_have_text(third)
    page.get_by_role("button", name="pause").click()
    step = page.get_by_role("slider", name="step", exact=False).last
    step.fill("3")
    expect(table).to_have_text(third, use_inner_text=True)


def test_a_far_step_is_drawn_once_a_frame(saved, open_page):
    page = open_page(saved("gan"))
    step = page.get_by_role("slider", name="step", exact=False).last
    for value in range(200, 800, 50):  # while the games are still far behind
        step.fill(str(value))
    frames = page.evaluate("window.drawn")
    assert len(frames) == len(set(frames))


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_screen_reader_hears_one_place_and_not_every_number(saved, open_page, name):
    page = open_page(saved(name))
    assert page.locator("output, [role=status], [role=alert], [aria-live]").count() == 1


def test_a_screen_reader_hears_what_has_changed_and_nothing_before(saved, open_page):
    from playwright.sync_api import expect

    page = open_page(saved("gan"))  # it begins at step 3: that is trained when the page opens
    spoken = page.locator("[aria-live]")
    page.wait_for_timeout(1000)  # longer than the announcer waits for numbers to settle
    expect(spoken).to_have_text("")
    page.get_by_role("button", name="one step").click()
    expect(spoken).not_to_have_text("")


@pytest.mark.parametrize("name", EXPLORERS)
def test_a_narrow_page_needs_no_scrolling_sideways_and_every_control_has_a_name(
    saved, open_page, name
):
    page = open_page(saved(name), width=400, scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.add_style_tag(content="html { font-size: 200% }")  # for readers who need large letters
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    unnamed = """[...document.querySelectorAll("input, select, button, [tabindex]")]
      .filter((node) => !(node.ariaLabel || node.closest("label")?.textContent || node.textContent))
      .map((node) => node.outerHTML)"""
    assert page.evaluate(unnamed) == []


def test_keys_reach_every_control(saved, open_page):
    page = open_page(saved("frechet"))
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))
    focusable = page.locator("[tabindex], input[type=range], button").count()
    assert len(reached) >= focusable
