import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from hagan_lite import data, figures, runs


@pytest.fixture
def made(smoke_run):
    """Every figure of the project, by name."""
    images, log = data.load("mni152").images, runs.read_log(smoke_run)
    mixed = runs.load_snapshots(smoke_run)[-1][1]
    fake = runs.sample(smoke_run, 24)
    return {
        "gallery": figures.gallery(images, n=10, title="ten"),
        "beside": figures.real_beside_fake(images, fake),
        "history": figures.sample_history(smoke_run, images, 20),
        "curves": figures.training_curves(log, 4),
        "figure7": figures.figure_7(mixed, figures.typical(mixed)),
        "shift": figures.shift_over_training(log, 4),
    }


def test_compared_images_share_one_grey_window(made):
    for name in ("gallery", "beside", "history", "figure7"):
        windows = {i.get_clim() for a in made[name].axes for i in a.images if i.get_cmap().name == "gray"}
        assert windows <= {(0, 255)} or windows <= {(0, 1)}, name


def test_every_curve_has_a_title_and_units(made):
    for name in ("curves", "shift"):
        for axis in made[name].axes:
            assert axis.get_title() and axis.get_ylabel() and axis.get_xlabel() == "training step"


def test_figure_7_shows_the_range_of_shifts(smoke_run):
    mixed = runs.load_snapshots(smoke_run)[-1][1]
    shifts = (mixed.lam - mixed.lambda_0)[figures.typical(mixed)].tolist()
    assert len(shifts) == 3 and shifts == sorted(shifts)


def test_no_figure_stays_open(made):
    assert plt.get_fignums() == []


def test_figures_are_saved_whole(made, tmp_path):
    path = figures.save_figure(made["figure7"], tmp_path / "new" / "figure7.png")
    with Image.open(path) as image:
        assert np.asarray(image).std() > 10
