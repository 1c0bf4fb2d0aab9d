"""The explorers in a real browser: their equations, the mouse, the keys, narrow and dark pages."""

import math
import shutil
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.utils import vector_to_parameters

from hagan_lite import attnmix
from hagan_lite.evaluation import metrics
from hagan_lite.lessons import widgets
from hagan_lite.lessons.widgets import attnmix as mixing
from hagan_lite.lessons.widgets import gan
from hagan_lite.lessons.widgets.base import module
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
