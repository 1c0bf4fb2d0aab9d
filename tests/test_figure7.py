import numpy as np
import pytest
import torch

from hagan_lite import runs
from hagan_lite.attnmix import Labels
from hagan_lite.config import Experiment
from hagan_lite.evaluation import figure7
from hagan_lite.lessons.pretrained import load_pretrained
from hagan_lite.paper import EXAMPLES


def test_shifts_belong_to_masks_of_every_area_and_to_the_map_that_is_asked_for():
    e, G, _, _ = load_pretrained("mni152", "cpu")
    labels = {
        name: figure7.label_shifts(G, e, name, images=8, masks=400) for name in figure7.READINGS
    }
    again = figure7.label_shifts(G, e, "output", images=8, masks=400)
    assert torch.equal(labels["output"].lam, again.lam)
    for these in labels.values():
        assert these.lam.shape == (400,)
        assert ((these.lam >= 0) & (these.lam <= 1)).all()
        assert these.lambda_0.min() < 0.2 and these.lambda_0.max() > 0.8
        torch.testing.assert_close(these.lam, e.alpha * (these.lambda_0 + these.lambda_1))
    assert torch.equal(labels["output"].lambda_0, labels["received"].lambda_0)  # the same masks
    assert not torch.equal(labels["output"].lam, labels["received"].lam)


def test_the_chance_is_one_where_nothing_moves_and_zero_where_everything_moves_far():
    areas = torch.linspace(0, 1, 1001)
    still, far = Labels(areas, areas, areas), Labels(areas, areas, areas + 0.1)
    assert figure7.chance_of_the_papers_shifts(still) == 1
    assert figure7.chance_of_the_papers_shifts(far) == 0


def test_the_chance_is_the_product_over_the_three_examples():
    """Half of the masks do not move, half move by 0.1: each example has a chance of 1/2."""
    areas = torch.linspace(0, 1, 2001)
    moved = torch.where(torch.arange(2001) % 2 == 0, areas, areas + 0.1)
    assert figure7.chance_of_the_papers_shifts(Labels(areas, areas, moved)) == pytest.approx(
        1 / 8, abs=0.01
    )


def test_p_values_of_products_of_three_shares_are_uniform():
    shares = np.random.default_rng(0).uniform(size=(2000, 3))
    p = np.array([figure7.p_value(chance) for chance in shares.prod(1)])
    assert np.quantile(p, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.04)
    assert figure7.p_value(0) == 0 and figure7.p_value(1) == 1


def test_a_run_whose_labels_no_attention_moves_has_no_chance(monkeypatch, smoke_run, tmp_path):
    chances = figure7.chances(smoke_run, "cpu")
    assert set(chances) == set(figure7.READINGS)
    assert all(0 <= chance <= 1 for chance in chances.values())
    e = runs.experiment_of(smoke_run)
    monkeypatch.setattr(
        runs, "experiment_of", lambda run: type(e).make(preset="smoke", mix="cutmix")
    )
    assert figure7.chances(smoke_run, "cpu") == {}


def test_a_label_that_moves_either_way_counts():
    areas = torch.linspace(0, 1, 1001)
    assert figure7.chance_of_the_papers_shifts(Labels(areas, areas, areas - 0.1)) == 0


def test_only_masks_of_the_figures_areas_count():
    areas = torch.linspace(0, 1, 1001)
    of_figure = [(areas - area).abs() <= 0.05 for area, _ in EXAMPLES.values()]
    moved = torch.where(torch.stack(of_figure).any(0), areas, areas + 0.1)
    assert figure7.chance_of_the_papers_shifts(Labels(areas, areas, moved)) == 1


class TwoMaps(torch.nn.Linear):
    """Stand in for a generator: its first map is flat, its second one a corner."""

    def with_saliency(self, z, saliency):
        maps = torch.ones(2, 8, 8)
        maps[1] = torch.eye(64)[0].view(8, 8)
        return z, maps


def test_each_images_own_map_moves_its_labels():
    e = Experiment.make(preset="smoke")
    labels = figure7.label_shifts(TwoMaps(1, 1), e, "output", images=2, masks=100)
    of_flat, of_corner = (labels.lam - labels.lambda_0).abs().split(50)
    assert of_flat.max() < 1e-5 and of_corner.median() > 0.05


def test_labels_are_scaled_by_the_runs_alpha():
    e = Experiment.make(preset="smoke", alpha=0.3)
    labels = figure7.label_shifts(TwoMaps(1, 1), e, "output", images=2, masks=100)
    torch.testing.assert_close(labels.lam, 0.3 * (labels.lambda_0 + labels.lambda_1))


def test_each_reading_has_the_chance_of_its_own_labels(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "experiment_of", lambda _: Experiment.make(preset="smoke"))
    monkeypatch.setattr(runs, "load_generator", lambda *_: None)
    monkeypatch.setattr(figure7, "label_shifts", lambda G, e, saliency: saliency)
    monkeypatch.setattr(figure7, "chance_of_the_papers_shifts", lambda labels: labels)
    assert figure7.chances(tmp_path) == dict(output="output", received="received")
