import numpy as np
import pytest
import torch

from hagan_lite import datasets, runs
from hagan_lite.datasets.pixels import to_tensor_range
from hagan_lite.lessons import pretrained
from hagan_lite.system.paths import COMMITTED
from hagan_lite.system.storage import read_json


@pytest.fixture(scope="module", params=["mni152", "mni152-dcgan"])
def p(request):
    return pretrained.load_pretrained(request.param, "cpu")


def test_it_is_a_run_on_the_embedded_slices_with_a_committed_record(p):
    record = read_json(p.run / "record.json")
    assert (p.experiment.dataset, p.experiment.preset) == ("mni152", "cpu")
    assert record["hash"] == p.experiment.hash == read_json(p.run / "experiment.json")["hash"]
    assert record["data"]["fingerprint"] == datasets.load("mni152").fingerprint
    assert "+changes" not in record["commit"]
    assert record in [{k: v for k, v in r.items() if k != "name"} for r in committed()]


def committed():
    return runs.load_records(COMMITTED)


def test_it_is_small_and_in_half_precision(p):
    from safetensors.torch import load_file

    for name in ("generator", "discriminator"):
        path = p.run / f"{name}.safetensors"
        assert path.stat().st_size <= 3_000_000
        assert {v.dtype for v in load_file(path).values() if v.is_floating_point()} == {
            torch.float16
        }


def test_hagans_images_are_nearer_to_the_slices_than_the_dcgans():
    """Their mean image is like the mean slice, and both draw heads on black, not noise."""
    real, errors = datasets.load("mni152").images.astype(float), {}
    for name in ("mni152", "mni152-dcgan"):
        p = pretrained.load_pretrained(name, "cpu")
        fake = runs.generate(p.G, p.experiment, 64).astype(float)
        assert np.corrcoef(fake.mean(0).ravel(), real.mean(0).ravel())[0, 1] > 0.95
        assert (fake[:, 0, :4, :4] < 20).mean() > 0.9  # a black corner
        distances = ((fake[:, None] - real[None]) ** 2).mean((2, 3, 4)) ** 0.5
        errors[name] = distances.min(1).mean()
    assert errors["mni152"] < errors["mni152-dcgan"] / 1.5


def test_the_discriminator_knows_real_from_fake(p):
    real = torch.from_numpy(to_tensor_range(datasets.load("mni152").images))
    fake = torch.from_numpy(to_tensor_range(runs.generate(p.G, p.experiment, 113)))
    with torch.no_grad():
        assert p.D(real).image.mean() > p.D(fake).image.mean()


def test_its_run_folder_reads_like_any_run(p):
    log, snapshots = runs.read_log(p.run), runs.load_snapshots(p.run)
    assert log[-1]["step"] == p.experiment.steps and all("seconds" not in line for line in log)
    if p.experiment.mix == "attnmix":
        assert len(snapshots) == 4 and snapshots[-1][0] == p.experiment.steps
    assert len(list((p.run / "samples").glob("*.png"))) == 5
    assert runs.sample(p.run, 3, device="cpu").shape == (3, 1, 64, 64)


def test_its_card_has_the_records_distance(p):
    card = (p.run / "README.md").read_text()
    assert f"FD {read_json(p.run / 'record.json')['metrics']['fd']:.0f}" in card


def test_another_name_is_answered_with_what_there_is():
    with pytest.raises(ValueError, match="'acdc'; there are: mni152, mni152-dcgan"):
        pretrained.load_pretrained("acdc")


def test_one_line_says_what_a_network_is_and_how_good(p):
    line, metrics = pretrained.in_one_line(p), read_json(p.run / "record.json")["metrics"]
    assert f"{p.experiment.steps:,} steps" in line and f"{metrics['floor']:.1f}" in line
    # Of as many images as the floor is, or the two would not compare.
    assert f"FD {metrics['fd_at_floor_n']:.1f}" in line
    assert f"recall {metrics['recall']:.2f}" in line
