"""The explorers' Python side: what they show is what the module computes."""

import asyncio
import math
import shutil

import nbformat
import numpy as np
import pytest
import torch
import traitlets
from helpers import tiny
from PIL import Image
from scipy import stats

from hagan_lite import attnmix, datasets, train
from hagan_lite.evaluation import metrics
from hagan_lite.lessons import widgets
from hagan_lite.lessons.pretrained import load_pretrained
from hagan_lite.lessons.widgets import attnmix as mixing
from hagan_lite.lessons.widgets import chance, frame
from hagan_lite.lessons.widgets.frechet import four_points
from hagan_lite.model import draw_z


@pytest.fixture(scope="module")
def shipped():
    return load_pretrained("mni152", "cpu")


@pytest.fixture
def explorer():
    return widgets.AttnMixExplorer(n=4)


def test_moving_the_box_changes_the_label_and_not_the_area(explorer):
    before = explorer.labels
    top, left, height, width = explorer.box
    explorer.box = [top + 9, left, height, width]
    assert explorer.labels.lambda_0 == before.lambda_0
    assert explorer.labels.lam != before.lam


@pytest.mark.parametrize("reading", ["output", "received"])
def test_the_explorers_label_is_attnmixs(explorer, shipped, reading):
    explorer.source = reading
    z = draw_z(1, shipped.experiment, torch.Generator().manual_seed(explorer.noise))
    _, saliency = shipped.G.with_saliency(z, saliency=reading)
    M = mixing.box_mask(64, *explorer.box)
    expected = attnmix.mixed_labels(M, attnmix.to_image_size(saliency, 64))
    assert explorer.lam == pytest.approx(expected.lam.item(), abs=1e-5)


def test_uniform_attention_moves_no_label(explorer):
    explorer.source = "uniform"
    assert explorer.lam == pytest.approx(explorer.lambda_0)
    explorer.source, explorer.sharpness = "output", 0.0
    assert explorer.lam == pytest.approx(explorer.lambda_0)


def test_a_map_painted_under_the_fake_box_makes_the_label_fake(explorer):
    explorer.box, explorer.source = [0, 0, 32, 32], "painted"
    assert explorer.lam == pytest.approx(explorer.lambda_0)  # an empty painting says nothing
    painted = np.zeros((32, 32), np.uint8)
    painted[4:8, 4:8] = 255
    explorer.painted = painted.tobytes()
    assert explorer.lambda_1 < 0.02 and explorer.lambda_0 == 0.75
    explorer.real_inside = True  # now the box is the real part
    assert explorer.lambda_1 > 0.98 and explorer.lambda_0 == 0.25


def test_alpha_scales_the_label_and_above_a_half_it_leaves_0_to_1(explorer):
    whole = explorer.lam
    explorer.alpha = 0.25
    assert explorer.lam == pytest.approx(whole / 2)
    explorer.alpha, explorer.box = 1.0, [0, 0, 1, 1]
    assert explorer.lam > 1


def test_a_box_is_clipped_at_the_border():
    assert mixing.box_mask(8, 6, -2, 4, 4).sum() == 64 - 2 * 2
    assert mixing.box_mask(8, 6, -2, 4, 4, real_inside=True).sum() == 2 * 2


def test_a_finished_run_can_be_explored(smoke_run):
    theirs, ours = widgets.AttnMixExplorer(smoke_run, n=2), widgets.AttnMixExplorer(n=2)
    assert theirs.lam != ours.lam
    assert widgets.LatentWalk(smoke_run, n=2).z.shape == (100,)


@pytest.mark.parametrize(
    ("trait", "value"),
    [("box", [1, 2, 3]), ("noise", 4), ("real", -1), ("painted", b"short"), ("alpha", 1.5)],
)
def test_what_cannot_be_shown_is_refused_and_nothing_changes(explorer, trait, value):
    before = explorer.lam
    with pytest.raises(traitlets.TraitError, match=trait):
        setattr(explorer, trait, value)
    assert explorer.lam == before


def test_a_single_image_can_be_explored_and_none_cannot():
    assert 0 < widgets.AttnMixExplorer(n=1).lam < 1
    assert widgets.AttentionExplorer(n=1).A_row.sum() == pytest.approx(1, abs=1e-5)
    for explorer in (widgets.AttnMixExplorer, widgets.AttentionExplorer, widgets.LatentWalk):
        with pytest.raises(ValueError, match="n = 0"):
            explorer(n=0)


def test_the_query_stays_at_its_place_when_the_layer_is_smaller():
    explorer = widgets.AttentionExplorer(n=1)
    explorer.query = [20, 31]
    explorer.layer = 16
    assert explorer.query == [10, 15] and len(explorer.A_row) == 256
    with pytest.raises(traitlets.TraitError, match="row is a number from 0 to 15"):
        explorer.query = [16, 0]


def test_a_game_takes_what_is_not_given_from_the_settings():
    playground = widgets.GanPlayground()
    playground.left = dict(loss="ls")
    assert playground.left["loss"] == "ls" and playground.left["lr_D"] == 5e-3
    for wrong in (dict(los="ls"), dict(loss="mse")):
        with pytest.raises(traitlets.TraitError, match=r"los: a game has|loss 'mse'"):
            playground.right = wrong


def test_the_attention_explorer_shows_a_row_of_A(shipped):
    explorer = widgets.AttentionExplorer(n=2)
    explorer.query, explorer.noise = [2, 3], 1
    z = draw_z(1, shipped.experiment, torch.Generator().manual_seed(1))
    matrix = shipped.G.attention_matrices(z)[32][0]
    torch.testing.assert_close(explorer.A_row, matrix[2 * 32 + 3], atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("model", ["wgan", "ddpm"])
def test_a_run_without_attention_or_z_is_refused_by_its_explorer(tmp_path, model):
    e = tiny(model, steps=1)
    run = train.train(e, tmp_path / "run", datasets.load("mni152", e.size))
    with pytest.raises(ValueError, match="attention"):
        widgets.AttentionExplorer(run)
    if model == "ddpm":
        with pytest.raises(ValueError, match="z"):
            widgets.LatentWalk(run)


def test_a_corner_of_the_latent_walk_is_its_noise_vector(shipped):
    walk = widgets.LatentWalk(seeds=(3, 4, 5, 6), n=2)
    for place, seed in (([0, 0], 3), ([1, 0], 4), ([0, 1], 5), ([1, 1], 6)):
        walk.place = place
        z = draw_z(1, shipped.experiment, torch.Generator().manual_seed(seed))[0]
        torch.testing.assert_close(walk.z, z)
    walk.place = [0.5, 0.5]
    torch.testing.assert_close(walk.z, walk._corners.mean(0))


def test_four_points_have_a_clouds_mean_and_covariance():
    explorer = widgets.FrechetExplorer(real=dict(x=1.0, y=2.0, a=2.0, b=0.5, angle=0.0))
    points = four_points(explorer.real)
    assert points.mean(0).tolist() == pytest.approx([1, 2], abs=1e-6)
    assert points.T.cov().diagonal().tolist() == pytest.approx([4, 0.25])
    explorer.fake = dict(x=1.0, y=4.0, a=1.0, b=0.5, angle=0.0)
    assert explorer.distance == pytest.approx(4 + 1)  # means 2 apart, spreads 2 and 1
    rng = torch.Generator().manual_seed(0)
    normal = torch.randn(2, 200_000, 2, generator=rng, dtype=torch.float64)
    a = normal[0] * torch.tensor([2, 0.5]) + torch.tensor([1, 2])
    b = normal[1] * torch.tensor([1, 0.5]) + torch.tensor([1, 4])
    assert metrics.frechet_distance(a, b) == pytest.approx(5, rel=0.02)


def test_the_chance_explorer_has_the_p_of_a_t_test_with_pooled_spread():
    explorer = widgets.ChanceExplorer({"a": [1.0, 2.0]}, sd=10.0, freedom=4)
    explorer.difference, explorer.seeds = 20.0, 3
    expected = stats.ttest_ind_from_stats(0, 10.0, 3, 20.0, 10.0, 3).pvalue
    assert explorer.p == pytest.approx(expected)


def test_more_seeds_decide_more_often_and_no_difference_decides_at_the_level():
    explorer = widgets.ChanceExplorer({"a": [1.0, 2.0]}, sd=10.0, freedom=20)
    explorer.difference, powers = 15.0, []
    for explorer.seeds in (1, 3, 10, 30):
        powers.append(explorer.power)
    assert powers == sorted(powers) and powers[-1] > 0.99
    explorer.difference = 0.0
    assert explorer.power == pytest.approx(explorer.level)


def test_choosing_two_rows_takes_what_was_measured():
    rows = {"a": [10.0, 20.0], "b": [40.0, 50.0, 60.0], "c": [16.0]}
    explorer = widgets.ChanceExplorer(rows, sd=10.0, freedom=4)
    explorer.sd = 3.0
    explorer.row, explorer.rival = "b", "a"
    assert (explorer.difference, explorer.seeds, explorer.sd) == (35.0, 2, 10.0)
    explorer.rival = "c"
    assert (explorer.difference, explorer.seeds) == (34.0, 1)
    explorer.row, explorer.difference = chance.OWN, 5.0
    explorer.rival = "b"
    assert explorer.difference == 5.0


def test_a_cloud_has_spreads_and_a_row_was_run():
    explorer = widgets.FrechetExplorer()
    for wrong in (dict(x=1.0), explorer.fake | dict(a=0.0), explorer.fake | dict(x=math.inf)):
        with pytest.raises(traitlets.TraitError):
            explorer.fake = wrong
    of_rows = widgets.ChanceExplorer({"a": [1.0, 2.0]}, sd=10.0, freedom=4)
    of_rows.row = "a"
    for trait in ("row", "rival"):
        with pytest.raises(traitlets.TraitError, match="none of the rows: a"):
            setattr(of_rows, trait, "b")


def test_without_a_spread_there_is_no_chance_to_explore():
    with pytest.raises(ValueError, match="no spread of runs"):
        widgets.ChanceExplorer({"a": [1.0]}, sd=0.0, freedom=0)


def test_the_training_viewer_shows_a_run_and_the_shipped_one(smoke_run):
    viewer = widgets.TrainingViewer(smoke_run)
    assert viewer.step == 20 and viewer._sample_steps[-1] == 20
    assert len(viewer._samples) == len(viewer._sample_steps) * 8 * 64 * 64
    shipped = widgets.TrainingViewer()
    assert shipped.step == 10_000 and shipped._mixed_steps == [3000, 5000, 8000, 10_000]
    assert len(shipped._masks) == 4 * shipped._n_mixed * 64 * 64
    # Its grids have four columns: the fifth image begins the second row.
    images = np.frombuffer(shipped._samples, np.uint8).reshape(-1, shipped._n_samples, 64, 64)
    grid = np.asarray(Image.open(mixing.SHIPPED / "samples" / "step_010000.png"))
    assert images.shape[:2] == (len(shipped._sample_steps), 8)
    np.testing.assert_array_equal(images[-1, 4], grid[64:128, :64])


def test_the_training_viewer_waits_for_a_run_and_finds_what_comes(smoke_run, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    viewer = widgets.TrainingViewer(run)
    assert not viewer._log
    shutil.copytree(smoke_run, run, dirs_exist_ok=True)
    viewer.refresh()
    assert viewer.step == 20 and viewer._samples


def test_following_stops_when_the_run_is_finished(smoke_run):
    async def watch():
        viewer = widgets.TrainingViewer(smoke_run)
        viewer.follow = True
        await asyncio.sleep(0.1)
        assert not viewer.follow
        viewer._task.cancel()

    asyncio.run(watch())


def test_a_viewer_that_is_told_to_follow_twice_looks_once(tmp_path):
    async def watch():
        viewer = widgets.TrainingViewer(tmp_path)  # nothing is there yet
        for viewer.follow in (True, False, True):
            await asyncio.sleep(0.01)
        assert len(asyncio.all_tasks()) == 2  # this one and the viewer's
        viewer._task.cancel()

    asyncio.run(watch())


def test_an_explorer_is_whole_in_its_html_and_names_no_other_place(tmp_path):
    html = widgets.FrechetExplorer(n=37).save(tmp_path / "page.html").read_text()
    assert '"n": 37' in html and "showSaved" in html
    assert "https://" not in html and " src=" not in html


@pytest.fixture
def with_widgets():
    """An executed notebook that shows a progress bar, an explorer and a line of text."""
    views = [{frame.VIEW: {"model_id": name}} for name in ("bar", "toy")]
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in views]
    outputs.append(nbformat.v4.new_output("stream", text="kept"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=outputs)])
    toy = {"state": {"_esm": "// module", "_css": "", "n": 5}}
    notebook.metadata["widgets"] = {frame.STATE: {"state": {"bar": {"state": {}}, "toy": toy}}}
    return notebook


def test_freezing_leaves_out_widgets_that_show_nothing_without_a_kernel(with_widgets):
    html, text = frame.freeze(with_widgets).cells[0].outputs
    assert "// module" in html.data["text/html"] and text.text == "kept"
    assert "widgets" not in with_widgets.metadata


def test_explorers_are_in_what_nbconvert_exports(with_widgets):
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(preprocessors=["hagan_lite.lessons.widgets.export.Freeze"])
    html, _ = exporter.from_notebook_node(with_widgets)
    assert "showSaved(" in html and "// module" in html
