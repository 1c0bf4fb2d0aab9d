"""Pictures of the lessons: one scale where panels are compared, legends off the data."""

import forked
import numpy as np
import pytest
import torch
from matplotlib.text import Text

from hagan_lite import attnmix, drawing
from hagan_lite.drawing import lessons, style
from hagan_lite.drawing.lessons import (
    Lines,
    Panel,
    figure_3,
    intensities,
    lines,
    panels,
    scores_of_rows,
)


def test_ratios_that_are_compared_share_one_scale():
    flat, peaked = np.ones((4, 4)), np.eye(4) * 200 + 0.1
    row = [Panel(picture, kind="ratio", most=200.0) for picture in (flat, peaked)]
    limits = {axis.images[0].get_clim() for axis in panels([row]).axes if axis.images}
    assert len(limits) == 1


def test_several_points_are_numbered_and_a_single_one_is_not():
    picture = np.zeros((1, 8, 8))
    several, single = (
        panels([[Panel(picture, points=points)]]).axes[0] for points in ([(1, 2), (5, 6)], [(1, 2)])
    )
    assert [text.get_text() for text in several.texts] == ["1", "2"] and not single.texts
    assert several.lines[0].get_xdata()[0] == 2  # a point is (row, column)


def test_legends_stand_below_the_axes():
    curves = {"a": ([0, 1], [0, 1]), "b": ([0, 1], [1, 0])}
    for figure in (
        lines([Lines(curves, "title", "x", "y")]),
        intensities({"title": {"a": np.arange(9.0), "b": np.arange(9.0) + 1}}, "x"),
    ):
        figure.canvas.draw()
        axis = figure.axes[0]
        assert axis.get_legend().get_window_extent().y1 < axis.get_window_extent().y0


def test_parts_that_show_one_quantity_under_one_legend_share_its_scale():
    low, high = ({"a": ([0, 1], [0, most])} for most in (1, 9))
    one = lines([Lines(c, "", "x", "loss") for c in (low, high)], legend_below=True)
    two = lines([Lines(low, "", "x", "loss"), Lines(high, "", "x", "push")], legend_below=True)
    assert one.axes[0].get_ylim() == one.axes[1].get_ylim()
    assert two.axes[0].get_ylim() != two.axes[1].get_ylim()
    assert [axis.get_ylabel() for axis in one.axes] == ["loss", ""]  # it lay over the second axis
    assert [axis.get_ylabel() for axis in two.axes] == ["loss", "push"]


def test_every_run_of_a_row_is_a_dot_and_its_mean_a_bar():
    rows = {"base": [3.0, 5.0], "with T": [1.0]}
    kinds = {"base": "without", "with T": "with"}
    axis = scores_of_rows(rows, kinds, "FD", floor=0.5).axes[0]
    drawn = [list(line.get_xdata()) for line in axis.lines]
    assert [3.0, 5.0] in drawn and [4.0, 4.0] in drawn and [1.0, 1.0] in drawn


def test_a_kind_has_one_colour_whichever_row_comes_first():
    def colours(kinds):
        rows = {name: [1.0, 2.0] for name in kinds}
        lines = scores_of_rows(rows, kinds, "FD", floor=0.5).axes[0].lines
        dots = [line for line in lines if line.get_marker() == "o"]
        return {dot.get_label(): dot.get_color() for dot in dots}

    one = colours({"a": "with T", "b": "without T"})
    assert one == colours({"b": "without T", "a": "with T"}) and len(set(one.values())) == 2


def test_no_legend_of_the_evaluation_lies_on_data():
    r = torch.Generator().manual_seed(0)
    cloud = torch.randn(9, 2, generator=r)
    for figure in (
        drawing.gaussians([(cloud, cloud + 1, "a")] * 2),
        drawing.neighbourhoods([(cloud, cloud + 1, "a")] * 2),
    ):
        figure.draw_without_rendering()
        (legend,) = figure.legends
        lowest = min(axis.get_window_extent().y0 for axis in figure.axes)
        assert legend.get_window_extent().y1 < lowest


def test_legends_say_what_bars_and_ellipses_are():
    cloud = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    scores = {25: [3.0, 4.0, 5.0], 50: [1.0, 2.0, 3.0]}
    for figure, words in (
        (drawing.gaussians([(cloud, cloud + 1, "a")]), "two standard deviations"),
        (drawing.over_n(scores, "a", 25, "FD"), "mean of 3 scores; bars: one standard deviation"),
    ):
        (legend,) = figure.legends
        assert any(words in text.get_text() for text in legend.get_texts())


def test_axes_without_data_show_the_reason_and_no_ticks():
    log = [dict(step=step, d=1.0, g=1.0, d_img=1.0, d_real=0.5, d_fake=0.5) for step in (1, 2)]
    figure = drawing.training_curves(log, 1)
    losses, scores, gates, shifts = figure.axes
    assert losses.axison and scores.axison and not gates.axison and not shifts.axison
    assert gates.texts and gates.get_legend() is None


def test_phase_two_is_marked_where_there_is_one():
    log = [dict(step=step, d=1.0, g=1.0, d_img=1.0, d_real=0.5, d_fake=0.5) for step in (1, 2)]

    def marked(figure):
        return "phase two starts" in figure.axes[0].get_legend_handles_labels()[1]

    assert marked(drawing.training_curves(log, 1))
    assert not marked(drawing.training_curves(log, None))


def test_a_gate_looks_alike_in_every_picture_and_no_two_have_one_dash():
    gates = dict(gamma_16=0.1, gamma_32=0.2, skip_4=0.3, skip_8=0.4, skip_16=0.5, skip_32=0.6)
    log = [dict(step=s, d=1.0, g=1.0, d_real=0.5, d_fake=0.5) | gates for s in (1, 2)]

    def looks(axis):
        drawn = [line for line in axis.lines if "x" in line.get_label()]
        return {line.get_label(): (line.get_color(), line._dash_pattern) for line in drawn}

    everywhere = looks(drawing.training_curves(log, 1).axes[2])
    skip = looks(drawing.gates_over_training(log, 1, "skip", "a title").axes[0])
    assert len(everywhere) == 6 and len({str(dash) for _, dash in everywhere.values()}) == 6
    assert len(skip) == 4 and skip.items() <= everywhere.items()


def test_the_palette_is_seaborns_for_the_colour_blind():
    import seaborn as sns

    assert list(sns.color_palette("colorblind")) == style.COLOURS


def test_a_picture_has_as_many_dots_per_inch_as_the_variable_says(monkeypatch):
    monkeypatch.delenv("HAGAN_DPI", raising=False)
    drawn = "from hagan_lite import drawing as d; print(d.bars([d.Bars({'a': 1.0}, '', '')]).dpi)"
    for given, dots in ((None, 80), ("", 80), ("160", 160)):
        if given is not None:
            monkeypatch.setenv("HAGAN_DPI", given)
        assert style.dots_per_inch() == dots
    done = forked.run("-c", drawn)
    assert float(done.stdout) == 160, done.stderr


@pytest.mark.parametrize("given", ["large", "0", "-80", "nan", "inf"])
def test_dots_per_inch_that_are_no_positive_number_are_refused_by_name(given, monkeypatch):
    monkeypatch.setenv("HAGAN_DPI", given)
    with pytest.raises(ValueError, match=f"HAGAN_DPI is '{given}'"):
        style.dots_per_inch()


def test_signs_and_answers_are_told_apart_in_a_grey_print():
    """The colours of a signed map grow lighter all the way, and what D calls fake has dashes."""
    red, green, blue, _ = lessons._SIGNED(np.linspace(0, 1, 21)).T
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    assert (np.diff(grey) > 0).all()
    fake_at_the_left = np.tile(np.linspace(0, 1, 60), (60, 1))
    (dashes,) = drawing.planes([drawing.Plane(surface=fake_at_the_left)]).axes[0].collections
    places = dashes.get_offsets()
    assert len(places) > 50 and places[:, 0].max() < 0 and places[:, 1].max() > 1.5


def test_the_lowest_point_of_a_curve_is_marked_and_what_it_smooths_lies_behind_it():
    x = np.arange(9.0)
    raw = {"a": (x, (x - 3) ** 2 + x % 2)}
    part = Lines({"a": (x, (x - 3) ** 2)}, "", "x", "y", raw=raw, lowest=True)
    smooth, behind, lowest, *_ = lines([part]).axes[0].lines
    assert behind.get_zorder() < smooth.get_zorder() and behind.get_alpha() < 1
    assert (lowest.get_xdata()[0], lowest.get_ydata()[0]) == (3, 0)


def test_a_histogram_has_the_marks_and_the_window_of_its_own_part():
    values = {"left": {"a": np.linspace(0.2, 0.8, 9)}, "right": {"b": np.linspace(20, 200, 9)}}
    marks, limits = {"left": [(0.5, "half")]}, {"left": (0, 1), "right": (0, 255)}
    left, right = intensities(values, "grey value", marks=marks, limits=limits).axes
    assert [text.get_text() for text in left.texts] == ["half"] and not right.texts
    assert left.get_xlim() == (0, 1) and right.get_xlim() == (0, 255)


def test_on_a_logarithmic_scale_values_are_dots():
    values = {"few": 1.0, "many": 1000.0}
    length, place = drawing.bars([drawing.Bars(values, "", "x", log=log) for log in (0, 1)]).axes
    assert len(length.patches) == 2 and not place.patches
    assert list(place.lines[0].get_xdata()) == [1, 1000] and "log scale" in place.get_xlabel()


def test_a_number_that_the_paper_does_not_print_is_named_and_has_no_bar():
    axis = drawing.bars([drawing.Bars({"a": 3.0, "b": None}, "", "x", mark=(2, "two"))]).axes[0]
    assert sorted(bar.get_width() for bar in axis.patches) == [0, 3]
    assert {"3", "not printed", "two"} == {text.get_text() for text in axis.texts}


def test_recall_is_drawn_as_precision_is():
    """All fakes lie in one place: each is in a ball of a real point, and hardly one the reverse."""
    real = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    above, below = drawing.neighbourhoods([(real, real[:1] + 0.01 * real[:8], "alike")]).axes
    inside = [len(axis.collections[1].get_offsets()) for axis in (above, below)]
    assert inside[0] == 8 and inside[1] <= 1


def test_a_curve_that_leaves_the_picture_says_where_it_ends():
    curves = {"flat": ([-6, 6], [0, 1]), "steep": ([-6, 6], [14, -10])}
    axis = lines([Lines(curves, "", "s", "push", limits=(-3, 4))]).axes[0]
    assert axis.get_ylim() == (-3, 4)
    assert [text.get_text() for text in axis.texts] == ["↑ 14 at -6", "↓ -10 at 6"]
    assert axis.lines[1].get_ydata().tolist() == [14, -10]  # the axes cut it off, not the data


def test_labels_of_marks_stand_above_the_axes_and_lie_on_nothing():
    three = [(0.2, "a longer label"), (-0.1, "another label"), (-0.11, "and a third")]
    values = {"title": {"a": np.linspace(-1, 1, 99), "b": np.linspace(-1, 1, 99)}}
    curves = {"a": ([-1, 1], [0, 1])}
    parts = [Lines(curves, "title", "x", "y", mark=(0.9, "phase two begins"))]
    for figure, marks in ((intensities(values, "x", marks=three), 3), (lines(parts), 1)):
        figure.draw_without_rendering()
        axis = figure.axes[0]
        edge = axis.get_window_extent()
        boxes = [Text.get_window_extent(label) for label in axis.texts]  # without its line
        assert len(boxes) == marks and all(box.y0 > edge.y1 for box in boxes)
        assert all(box.x0 > 0 and box.x1 < figure.bbox.x1 for box in boxes)
        boxes.append(axis.title.get_window_extent())
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_figure_3_shows_what_the_mask_takes_away_even_where_the_map_is_low():
    r = torch.Generator().manual_seed(0)
    x, fake, A = (torch.rand(1, 1, 16, 16, generator=r) for _ in range(3))
    M = torch.ones(1, 1, 16, 16)
    M[..., 4:9, 6:12] = 0
    mixed = attnmix.Mixed(fake, x, M, A, *attnmix.mixed_labels(M, A))
    maps = [a for a in figure_3(mixed).axes if a.images and "A" in a.get_title()]
    assert len(maps) == 2 and len({a.images[0].get_clim() for a in maps}) == 1
    hatched = [any(any(c.hatches or ()) for c in a.collections) for a in maps]
    outlined = [len(a.collections) >= 2 for a in maps]
    assert hatched == [False, True] and all(outlined)


def test_the_legend_names_the_bar_of_a_mean():
    (legend,) = scores_of_rows({"a": [1.0, 2.0]}, {"a": "with T"}, "FD", floor=0.5).legends
    assert [text.get_text() for text in legend.texts] == ["with T", "mean", "real halves"]
