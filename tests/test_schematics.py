"""The schematics can be read: every text has a place of its own, and the lessons are the right."""

from itertools import combinations

import pytest

from hagan_lite.drawing import schematics
from hagan_lite.drawing.schematics import Box
from hagan_lite.system.paths import ROOT

ALL = {
    "gan": schematics.gan,
    "hagan": schematics.hagan,
    "reverse skip": lambda: schematics.reverse_skip([256, 128, 64, 32]),
    "reverse skip at 256x256": lambda: schematics.reverse_skip([256, 256, 256, 128, 64, 32]),
}


def written(figure):
    """Return each text of a figure, and where it stands on the canvas."""
    figure.canvas.draw()
    return {t.get_text(): t.get_window_extent() for t in figure.axes[0].texts if t.get_text()}


@pytest.mark.parametrize("name", ALL)
def test_no_text_of_a_schematic_lies_on_another_or_leaves_the_picture(name):
    figure = ALL[name]()
    places = written(figure).values()
    assert not any(a.overlaps(b) for a, b in combinations(places, 2))
    for place in places:
        assert place.x0 >= 0 and place.y0 >= 0
        assert place.x1 <= figure.bbox.x1 and place.y1 <= figure.bbox.y1


@pytest.mark.parametrize("name", ALL)
def test_the_text_of_a_box_fits_into_it(name):
    figure = ALL[name]()
    places = written(figure)
    boxes = [p for p in figure.axes[0].patches if type(p).__name__ == "FancyBboxPatch"]
    assert boxes
    for box in boxes:
        outer = box.get_window_extent()
        (inner,) = [p for p in places.values() if outer.contains(p.x0 + p.width / 2, p.y0 + 1)]
        assert outer.x0 < inner.x0 and inner.x1 < outer.x1
        assert outer.y0 < inner.y0 and inner.y1 < outer.y1


def test_the_parts_of_hagan_stand_with_the_numbers_of_their_lessons():
    lessons = {path.name[:2]: path.stem[3:] for path in ROOT.glob("notebooks/[0-9]*.ipynb")}
    found = {}
    for text in written(schematics.hagan()):
        part, number = text.rstrip(")")[:-2], text.rstrip(")")[-2:]
        if number in lessons:
            found[lessons[number]] = part
    parts = {"generator", "augmentation", "attnmix", "discriminator", "losses", "reverse_skip"}
    assert set(found) == parts
    assert "AttnMix" in found["attnmix"] and "reverse skip" in found["reverse_skip"]
    assert "$G$" in found["generator"] and "$D$" in found["discriminator"]


@pytest.mark.parametrize(("at", "edge"), [(2.0, 1.31), (0.0, 0.69)])
def test_an_arrow_that_turns_leaves_and_enters_a_box_at_its_edge(at, edge):
    corners = schematics._corners(1.2, Box(1, 1, "a"), at, Box(4, 1, "b"), 3.9)
    assert [x for x, _ in corners] == [1.2, 1.2, 3.9, 3.9]
    assert [y for _, y in corners] == pytest.approx([edge, at, at, edge])
