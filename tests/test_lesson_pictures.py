"""Pictures of the lessons: one scale where panels are compared, legends off the data."""

import numpy as np
import torch

from hagan_lite import drawing
from hagan_lite.drawing import style
from hagan_lite.drawing.lessons import Lines, Panel, intensities, lines, panels, scores_of_rows


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


def test_the_palette_is_seaborns_for_the_colour_blind():
    import seaborn as sns

    assert list(sns.color_palette("colorblind")) == style.COLOURS
