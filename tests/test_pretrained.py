import numpy as np
import pytest
import torch

from hagan_lite import datasets, runs
from hagan_lite.datasets.pixels import to_tensor_range, to_uint8
from hagan_lite.lessons import pretrained
from hagan_lite.system.storage import read_json


@pytest.fixture(scope="module")
def p():
    return pretrained.load_pretrained("mni152", "cpu")


def test_it_is_the_cpu_preset_on_the_embedded_slices(p):
    record = read_json(p.run / "record.json")
    assert (p.experiment.dataset, p.experiment.preset, p.experiment.steps) == ("mni152", "cpu", 800)
    assert record["hash"] == p.experiment.hash == read_json(p.run / "experiment.json")["hash"]
    assert record["data"]["fingerprint"] == datasets.load("mni152").fingerprint
    assert (
        "+changes" not in record["commit"] and record["metrics"]["fd"] > record["metrics"]["floor"]
    )


def test_it_is_small_and_in_half_precision(p):
    from safetensors.torch import load_file

    for name in ("generator", "discriminator"):
        path = p.run / f"{name}.safetensors"
        assert path.stat().st_size <= 3_000_000
        assert {v.dtype for v in load_file(path).values() if v.is_floating_point()} == {
            torch.float16
        }


def test_it_draws_heads_and_not_noise(p):
    """Its mean image is like the mean slice, and its images are smoother than an untrained
    generator's.
    """
    fake = runs.generate(p.G, p.experiment, 64).astype(float)
    real = datasets.load("mni152").images.astype(float)
    assert np.corrcoef(fake.mean(0).ravel(), real.mean(0).ravel())[0, 1] > 0.95
    assert (fake[:, 0, :4, :4] < 20).mean() > 0.9  # a black corner


def test_the_discriminator_knows_real_from_fake(p):
    real = torch.from_numpy(to_tensor_range(datasets.load("mni152").images))
    fake = torch.from_numpy(to_tensor_range(runs.generate(p.G, p.experiment, 113)))
    with torch.no_grad():
        assert p.D(real).image.mean() > p.D(fake).image.mean()


def test_its_run_folder_reads_like_any_run(p):
    log, snapshots = runs.read_log(p.run), runs.load_snapshots(p.run)
    assert log[-1]["step"] == 800 and all("seconds" not in line for line in log)
    assert len(snapshots) == 4 and snapshots[-1][0] == 800
    assert runs.sample(p.run, 3, device="cpu").shape == (3, 1, 64, 64)
    assert to_uint8(p.G(torch.zeros(1, 100))).dtype == np.uint8


def test_its_card_has_the_records_distance(p):
    card = (p.run / "README.md").read_text()
    assert f"FD {read_json(p.run / 'record.json')['metrics']['fd']:.0f}" in card


def test_another_name_is_answered_with_what_there_is():
    with pytest.raises(ValueError, match="no pretrained networks for 'acdc'; there are: mni152"):
        pretrained.load_pretrained("acdc")


def test_one_line_says_what_a_network_is_and_how_good(p):
    line, metrics = pretrained.in_one_line(p), read_json(p.run / "record.json")["metrics"]
    assert f"{p.experiment.steps:,} steps" in line and f"{metrics['floor']:.1f}" in line
    assert f"recall {metrics['recall']:.2f}" in line
    assert "mni152" in pretrained.shipped()
