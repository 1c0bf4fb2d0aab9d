import numpy as np
import pytest
import torch
from PIL import Image

from hagan_lite import attnmix
from hagan_lite.lessons import explorers, widgets
from hagan_lite.lessons.pretrained import load_pretrained


@pytest.fixture(scope="module")
def shipped():
    return load_pretrained("mni152", "cpu")


@pytest.fixture
def explorer():
    return widgets.AttnMixExplorer()


def shown(image):
    """A widget's picture as an array."""
    import io

    return np.asarray(Image.open(io.BytesIO(image.value)))


def test_moving_the_box_changes_picture_and_label(explorer):
    before, picture = explorer.labels, shown(explorer.image)
    explorer.top.value += 9
    assert not np.array_equal(shown(explorer.image), picture)
    assert explorer.labels.lambda_0 == before.lambda_0  # the same area elsewhere
    assert explorer.labels.lam != before.lam  # and another label: attention says where
    assert f"{explorer.labels.lam.item():.3f}" in explorer.bars.value


def test_the_explorers_label_is_attnmixs(explorer, shipped):
    pair = explorers.fake_and_map(shipped.G, shipped.experiment, explorer.fake.value)
    M = explorers.box(
        64, explorer.top.value, explorer.left.value, explorer.height.value, explorer.width.value
    )
    expected = attnmix.mixed_labels(M, attnmix.to_image_size(pair.saliency, 64))
    torch.testing.assert_close(explorer.labels.lam, expected.lam)


def test_uniform_attention_moves_no_label(explorer):
    explorer.source.value = "uniform"
    torch.testing.assert_close(explorer.labels.lam, explorer.labels.lambda_0)
    explorer.source.value, explorer.sharpness.value = "output", 0.0
    torch.testing.assert_close(explorer.labels.lam, explorer.labels.lambda_0)


def test_a_map_drawn_under_the_fake_box_makes_the_label_fake(explorer):
    explorer.top.value, explorer.left.value, explorer.height.value, explorer.width.value = (
        0,
        0,
        32,
        32,
    )
    explorer.source.value = "drawn"
    torch.testing.assert_close(
        explorer.labels.lam, explorer.labels.lambda_0
    )  # an empty board says nothing
    explorer.board[explorers.BOARD + 1].value = True
    assert explorer.labels.lambda_1 < 0.02 and explorer.labels.lambda_0 == 0.75
    explorer.inside.value = True  # now the box is the real part
    assert explorer.labels.lambda_1 > 0.98 and explorer.labels.lambda_0 == 0.25


def test_alpha_scales_the_label(explorer):
    whole = explorer.labels.lam
    explorer.alpha.value = 0.25
    torch.testing.assert_close(explorer.labels.lam, whole / 2)


def test_every_position_of_the_sliders_gives_labels_in_0_1(explorer):
    for top in (0, 63):
        for height in (0, 64):
            explorer.top.value, explorer.left.value = top, top
            explorer.height.value, explorer.width.value = height, height
            assert all(0 <= value <= 1 for value in map(float, explorer.labels))


def test_a_finished_run_can_be_explored(smoke_run):
    explorer = widgets.AttnMixExplorer(smoke_run.parent)
    assert smoke_run.name in explorer.run.options and explorer.run.options[0] == "mni152 (shipped)"
    before = shown(explorer.image)
    explorer.run.value = smoke_run.name
    assert not np.array_equal(shown(explorer.image), before)


def test_the_attention_explorer_shows_a_row_of_A(shipped):
    explorer = widgets.AttentionExplorer()
    explorer.row.value, explorer.column.value = 2, 2
    background = shown(explorer.image)
    row = explorer._A[2 * 32 + 2]
    assert abs(row.sum() - 1) < 1e-4
    assert f"{row.topk(10).values.sum():.0%}" in explorer.text.value
    explorer.row.value = 16
    assert not np.array_equal(shown(explorer.image), background)


def test_the_training_viewer_scrubs_through_a_run(smoke_run):
    viewer = widgets.TrainingViewer(smoke_run)
    steps = explorers.moments(smoke_run)
    assert list(viewer.step.options) == steps and viewer.step.value == steps[-1] == 20
    assert (
        ">20<" in viewer.table.value
        and "gamma_32" in viewer.table.value
        and "shift" in viewer.table.value
    )
    last = shown(viewer.image)
    viewer.step.value = steps[0]
    assert f">{steps[0]}<" in viewer.table.value and not np.array_equal(shown(viewer.image), last)


def test_the_training_viewer_waits_for_a_run_that_has_drawn_nothing_and_finds_what_comes(
    smoke_run, tmp_path
):
    import shutil

    run = tmp_path / "run"
    run.mkdir()
    viewer = widgets.TrainingViewer(run)
    assert "No samples yet" in viewer.table.value
    shutil.copytree(smoke_run, run, dirs_exist_ok=True)
    viewer.refresh()
    assert viewer.step.value == 20 and len(shown(viewer.curves))


def test_following_stops_when_it_is_switched_off(smoke_run):
    import asyncio

    async def watch():
        viewer = widgets.TrainingViewer(smoke_run)
        viewer.follow.value = True
        await asyncio.sleep(0)
        assert not viewer._task.done()
        viewer.follow.value = False
        await asyncio.wait_for(viewer._task, 10)

    asyncio.run(watch())


def test_a_box_is_clipped_at_the_border():
    assert explorers.box(8, 6, -2, 4, 4).sum() == 64 - 2 * 2
    assert explorers.box(8, 6, -2, 4, 4, real_inside=True).sum() == 2 * 2
