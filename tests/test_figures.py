from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from hagan_lite import datasets, drawing, runs
from hagan_lite.attnmix import Mixed
from hagan_lite.drawing import style
from hagan_lite.drawing.lessons import Panel, panels


@pytest.fixture
def made(smoke_run):
    """Every figure of the project, by name."""
    images, log = datasets.load("mni152").images, runs.read_log(smoke_run)
    mixed = runs.load_snapshots(smoke_run)[-1][1]
    fake = runs.sample(smoke_run, 24)
    return {
        "gallery": drawing.gallery(images, n=10, title="ten"),
        "beside": drawing.real_beside_fake(images, fake),
        "history": drawing.sample_history(smoke_run, images, 20),
        "curves": drawing.training_curves(log, 4),
        "figure7": drawing.figure_7(mixed, drawing.typical(mixed)),
        "shift": drawing.shift_over_training(log, 4),
    }


def test_compared_images_share_one_grey_window(made):
    for name in ("gallery", "beside", "history", "figure7"):
        windows = {
            i.get_clim() for a in made[name].axes for i in a.images if i.get_cmap().name == "gray"
        }
        assert windows <= {(0, 255)} or windows <= {(0, 1)}, name


def test_colour_images_are_drawn_side_by_side():
    picture = style.side_by_side(np.zeros((7, 3, 64, 64), np.uint8), (2, 6))
    assert picture.shape[0] == 3 and picture.max() == 255


def test_every_curve_has_a_title_and_units(made):
    for name, over_steps in (("curves", 4), ("shift", 3)):
        for i, axis in enumerate(made[name].axes[:4]):
            assert axis.get_title() and axis.get_ylabel()
            assert (axis.get_xlabel() == "training step") == (i < over_steps)


def test_no_legend_covers_a_curve(made):
    """Legends of a training stand below the axes: curves may run anywhere."""
    for name, over_steps in (("curves", 4), ("shift", 3)):
        made[name].draw_without_rendering()
        for axis in made[name].axes[:over_steps]:
            assert axis.get_legend().get_window_extent().y1 < axis.get_window_extent().y0


def test_recipes_draws_each_run_of_a_row_and_nothing_where_nothing_was_measured():
    row = dict(row="a", **{"our FD (x)": 15.0, "FD of real halves": 5.0, "paper's FID": 9.0})
    empty = dict(row="b", **{"paper's FID": 8.0})
    about = dict(experiment=dict(augment="translation", size=64, steps=1234), data=dict(name="d"))
    of_row = {"a": [about | dict(metrics=dict(fd=fd)) for fd in (10.0, 20.0)]}
    measured = drawing.recipes(pd.DataFrame([row, empty]), of_row, start=31.0).axes[0]
    ends = [line for line in measured.lines if line.get_linestyle() in ("--", ":")]
    assert [line.get_xdata()[0] for line in ends] == [5.0, 31.0]
    assert all(part in measured.get_title() for part in ("d,", "64x64", "1,234 steps"))
    dots = [line for line in measured.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [[10.0, 20.0]]
    assert "no run" in {text.get_text() for text in measured.texts}


def test_parts_of_the_ladder_stand_apart_and_a_printed_number_is_written_once():
    names = ["base", "+ reverse skip", "+ reverse skip, no T yet", "sagan"]
    fids = [240.0, 115.9, 115.9, np.nan]
    rows = [
        {"row": name, "our FD (x)": 15.0, "FD of real halves": 5.0, "paper's FID": fid}
        for name, fid in zip(names, fids, strict=True)
    ]
    run = dict(experiment=dict(augment="", size=64, steps=9), data=dict(name="d"))
    of_row = {name: [run | dict(metrics=dict(fd=15.0))] for name in names}
    measured, paper = drawing.recipes(pd.DataFrame(rows), of_row).axes
    heads = [label.get_text() for label in measured.get_yticklabels(minor=True)]
    assert heads == ["The ladder, T from row 2 on", "The ladder, T in row 5 alone", "Controls"]
    first, second, other, control = measured.get_yticks()
    assert second - first == 1 and min(other - second, control - other) > 2
    squares = [line for line in paper.lines if line.get_marker() == "s"]
    assert [line.get_markerfacecolor() == "white" for line in squares] == [False, False, True]
    assert {text.get_text() for text in paper.texts} == {"240.0", "115.9"}
    bars = [line for line in measured.lines if line.get_color() == "black"]
    assert not bars  # a single run is no mean


def test_every_gate_has_a_line_of_its_own_and_all_panels_show_the_same_steps(made):
    losses, scores, gates, shifts = made["curves"].axes
    assert {axis.get_xlim() for axis in (losses, scores, gates, shifts)} == {losses.get_xlim()}
    skips = [line for line in gates.lines if line.get_label().startswith("skip")]
    assert len({str(line._dash_pattern) for line in skips}) == len(skips) > 1


def test_one_bar_serves_maps_of_one_scale_only():
    row = [Panel(most * np.eye(4), kind="ratio") for most in (2.0, 4.0)]
    with pytest.raises(ValueError, match="one `most`"):
        panels([row], one_bar=True)
    figure = panels([[panel._replace(most=4.0) for panel in row]], one_bar=True)
    assert len({axis.images[0].get_clim() for axis in figure.axes if axis.images}) == 1
    with pytest.raises(ValueError, match="'ratios'"):
        panels([[Panel(np.eye(4), kind="ratios")]])


def test_the_number_of_a_short_bar_stands_beside_it(smoke_run):
    mixed = runs.load_snapshots(smoke_run)[-1][1]
    mixed.lambda_0[0], mixed.lam[0] = 0.05, 0.6
    bars = drawing.figure_3(mixed).axes[-1]
    places = {text.get_text(): text.get_position()[0] for text in bars.texts}
    assert places["0.050"] > 0.05 and places["0.600"] < 0.6


def test_figure_7_shows_the_range_of_shifts(smoke_run):
    mixed = runs.load_snapshots(smoke_run)[-1][1]
    shifts = (mixed.lam - mixed.lambda_0)[drawing.typical(mixed)].tolist()
    assert len(shifts) == 3 and shifts == sorted(shifts)


def test_figure_7_of_several_data_sets_has_the_middle_shift_of_each(smoke_run):
    snapshot = runs.load_snapshots(smoke_run)[-1][1]
    batches = []
    for moved in ([0.5, -0.1, 0.2, 0.01, -0.3], [0.04, 0.03, 0.02, -0.01, 0.05]):
        rows = {name: value[[0, 1, 2, 3, 0]].clone() for name, value in vars(snapshot).items()}
        rows["lambda_0"], rows["fake"] = (
            torch.full((5,), 0.5),
            torch.arange(5.0).view(5, 1, 1, 1).expand(5, 1, 64, 64) / 5,
        )
        batches.append(Mixed(**rows | dict(lam=rows["lambda_0"] + torch.tensor(moved))))
    batches[1].lambda_0[4] = 0.95  # hardly anything of the fake is visible: not shown
    both = drawing.one_of_each(batches)
    assert (both.lam - both.lambda_0).tolist() == pytest.approx([0.2, 0.03])
    assert (5 * both.fake[:, 0, 0, 0]).round().tolist() == [2, 1]
    drawn = drawing.figure_7(both, [0, 1], names=("one", "other"))
    assert {t.get_text() for axis in drawn.axes for t in axis.texts} >= {"one", "other"}


def test_the_shifts_width_is_drawn_where_the_entropy_was(smoke_run):
    log = [line for line in runs.read_log(smoke_run) if "shift" in line]
    drawn = drawing.shift_over_training(runs.read_log(smoke_run), 4).axes[3].collections[0]
    assert drawn.get_offsets()[:, 0].tolist() == pytest.approx([line["entropy"] for line in log])
    assert drawn.get_offsets()[:, 1].tolist() == pytest.approx(
        [line["shift"][4] - line["shift"][0] for line in log]
    )


def test_learning_curves_show_the_mean_the_spread_of_seeds_and_the_floor(smoke_run):
    score = dict(extractor="efficientnet-lite0", floor=40.0, fd=200.0)

    def with_curve(*scores):
        curve = dict(step=[10, 20], fd=list(scores))
        return runs.make_record(smoke_run, score, curve=curve)

    two, one = [with_curve(300.0, 200.0), with_curve(200.0, 100.0)], [with_curve(280.0, 290.0)]
    bare = runs.make_record(smoke_run, score)
    figure = drawing.learning_curves({"hagan": two, "other": one, "none": [bare]}, "a title")
    assert drawing.learning_curves({"none": []}).axes[0].texts
    first, second, *rest = (axis for axis in figure.axes if axis.axison)
    assert "hagan, 2 runs" in first.get_title() and "1 run" in second.get_title() and not rest
    others, mean, ring = (list(line.get_ydata()) for line in first.lines)
    assert (others, mean, ring) == ([280, 290], [250, 150], [150])
    (band,) = first.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
    assert {(10, 300), (10, 200), (20, 200), (20, 100)} <= corners
    assert "a title" in figure.get_suptitle() and "40" in figure.get_suptitle()
    assert first.get_ylabel() == "FD, log scale" and second.get_xlabel() == "training step"


def test_a_forest_plot_shows_effect_interval_and_whether_it_is_decided():
    rows = [
        drawing.ForestRow("a claim", 20.0, (10.0, 30.0), False, True, notes=("3 and 3",)),
        drawing.ForestRow("its control", -1.0, None, True, False, True, notes=("1 and 1",)),
    ]
    axis = drawing.forest(rows, ("runs",)).axes[0]
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == [20.0, -1.0]
    assert [line.get_markerfacecolor() == "white" for line in dots] == [False, True]
    assert dots[0].get_markeredgecolor() != dots[1].get_markeredgecolor()
    assert [list(line.get_xdata()) for line in axis.lines].count([10.0, 30.0]) == 1
    assert {text.get_text() for text in axis.texts} == {"runs", "3 and 3", "1 and 1"}
    assert axis.get_ylim()[0] > axis.get_ylim()[1]  # the first row is on top


def test_the_interval_of_four_runs_is_dashed_and_that_of_five_is_not():
    rows = [
        drawing.ForestRow("few", 20.0, (10.0, 30.0), False, False, fewest=4),
        drawing.ForestRow("more", 20.0, (11.0, 31.0), False, False, fewest=5),
    ]
    lines = drawing.forest(rows).axes[0].lines
    intervals = {line.get_xdata()[0]: line.is_dashed() for line in lines if line.get_lw() > 1}
    assert intervals[10.0] and not intervals[11.0]


def test_every_run_of_a_model_is_a_point_and_a_model_without_runs_is_named():
    rows = [
        drawing.ModelRow("a", True, [10.0, 20.0], (10.0, 20.0), "88.9 (1)"),
        drawing.ModelRow("b", False, []),
    ]
    axis = drawing.runs_by_model({"data": rows}).axes[0]
    dots = [line for line in axis.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [[10.0, 20.0]]
    assert {"88.9 (1)", "no run"} <= {text.get_text() for text in axis.texts}


def test_a_models_interval_over_four_runs_is_dashed_and_that_over_five_is_not():
    rows = [drawing.ModelRow(str(n), True, [10.0] * n, (8.0, 12.0)) for n in (4, 5)]
    axis = drawing.runs_by_model({"data": rows}).axes[0]
    bars = [line for line in axis.lines if list(line.get_xdata()) == [8.0, 12.0]]
    assert [bar.is_dashed() for bar in bars] == [True, False]


def test_the_papers_three_examples_are_three_marks_inside_the_axes(made):
    axis = made["shift"].axes[0]
    marks = [line for line in axis.lines if line.get_label().startswith("the paper's")]
    places = [line.get_xdata()[0] for line in marks]
    assert len(set(places)) == 3 and max(places) < axis.get_xlim()[1]


def test_a_sample_stands_above_its_nearest_training_image_and_their_difference():
    dark, light = (np.full((1, 1, 8, 8), grey, np.uint8) for grey in (10, 30))
    audit = SimpleNamespace(samples=[2.5], nearest=[0], closest=lambda n: [0])
    figure = drawing.pairs(dark, light, audit)
    # The difference of 20 is drawn four times as bright: that of a copy and that of a mere
    # likeness would look black alike.
    assert [float(axis.images[0].get_array().max()) for axis in figure.axes] == [10, 30, 80]
    assert {axis.images[0].get_clim() for axis in figure.axes} == {(0, 255)}


def test_few_images_has_a_line_per_model_through_the_means_of_its_runs_and_marks_chance():
    points = [
        {"data": data, "model": model, "training images": n, "KID, held out": kid, "D's AUC": 0.7}
        for data, n in (("one", 50), ("one", 100), ("two", 400))
        for model in ("a", "b")
        for kid in (0.3, 0.5)
    ]
    axes = drawing.few_images(pd.DataFrame(points)).axes
    upper, _, lower, other = axes
    places = [line.get_xdata().tolist() for line in upper.lines]
    assert np.allclose(places, [[50, 100]] * 2, rtol=0.1)
    assert all(np.allclose(line.get_ydata(), 0.4) for line in upper.lines)
    dots = [dots.get_offsets()[:, 1].tolist() for dots in upper.collections]
    assert dots == [[0.3, 0.5, 0.3, 0.5]] * 2
    assert any(set(line.get_ydata()) == {0.5} for line in lower.lines)
    assert upper.get_ylim()[0] == 0 and "training images" in other.get_xlabel()


def test_d_over_the_training_has_a_line_for_each_kind_of_image_and_a_thin_one_for_each_run():
    """Only the first model has a pixel branch, and only the second has two runs."""
    scores = dict(training=[0.6, 0.8], heldout=[0.5, 0.4], generated=[0.3, 0.2])
    chances = dict(auc=[0.5, 0.9], image=[0.8, 0.6])
    one = dict(step=[10, 20]) | scores | chances
    groups = {"hagan": [one | dict(pixel=[0.5, 0.55])], "base with T": [one, one]}
    upper, other, lower, last = drawing.d_over_training(groups).axes
    heights = [line.get_ydata().tolist() for line in upper.lines]
    assert heights == list(scores.values())
    assert len(other.lines) == 3 * (2 + 1)  # each run, and their mean
    chance, pixel = [0.5, 0.5], [0.5, 0.55]
    assert [list(line.get_ydata()) for line in lower.lines] == [*chances.values(), pixel, chance]
    assert "2 runs" in other.get_title() and "1 run" in upper.get_title()
    assert len({line.get_linestyle() for line in lower.lines}) == 4  # told apart in grey, too
    assert len(last.lines) == 2 * 3 + 1
    for nothing in ({}, {"hagan": []}):
        (axis,) = drawing.d_over_training(nothing).axes
        assert "--curve" in axis.texts[0].get_text()


def test_no_figure_stays_open(made):
    assert plt.get_fignums() == []


def test_figures_are_saved_whole(made, tmp_path):
    path = drawing.save_figure(made["figure7"], tmp_path / "new" / "figure7.png")
    with Image.open(path) as image:
        assert np.asarray(image).std() > 10
