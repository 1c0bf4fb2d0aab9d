import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hagan_lite import data, evaluation
from hagan_lite.cli import app


def save(images, folder):
    folder.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image[0]).save(folder / f"{i:03d}.png")
    return folder


def test_a_run_is_evaluated_with_spread_floor_and_audit(smoke_run):
    done = CliRunner().invoke(
        app, ["evaluate", str(smoke_run), "--sets", "2", "--extractor", "efficientnet-lite0"], catch_exceptions=False
    )
    assert done.exit_code == 0
    for words in ("FD ", "mean of 2 fresh sets", "floor there", "KID", "precision", "audit in pixels: "):
        assert words in done.output
    kept = json.loads((smoke_run / "evaluation.json").read_text())
    assert kept["metrics"]["n_fake"] == 113
    assert set(kept["audit"]) == {"efficientnet-lite0", "pixels"}
    assert "verdict" in kept["audit"]["pixels"]


def test_two_folders_are_compared_and_a_copying_one_is_caught(tmp_path):
    images = data.load("mni152").images
    real = save(images[::2], tmp_path / "real")
    fake = save(np.clip(images[::2].astype(int) + 2, 0, 255).astype(np.uint8), tmp_path / "fake")
    done = CliRunner().invoke(app, ["evaluate", str(real), str(fake), "--extractor", "efficientnet-lite0"])
    assert done.exit_code == 0, done.output
    assert "audit in pixels: suspicious" in done.output
    assert "audit in efficientnet-lite0: suspicious" in done.output


def test_three_folders_are_one_too_many(tmp_path):
    done = CliRunner().invoke(app, ["evaluate", "a", "b", "c"])
    assert isinstance(done.exception, ValueError)
    assert "two folders" in str(done.exception)


def test_a_run_is_not_judged_by_other_images(smoke_run, tmp_path):
    other = save(data.load("mni152").images[:8], tmp_path / "other")
    with pytest.raises(ValueError, match="other images"):
        evaluation.of_run(smoke_run, dataset=str(other))


def test_where_nothing_can_be_held_out_the_audit_says_so():
    images = data.load("mni152")
    few = data.Dataset("folder", images.images[:20], images.groups[:20] * 0, "x")
    _, audits = evaluation.of_images(few, images.images[20:40], "efficientnet-lite0", device="cpu")
    assert "not audited" in audits["pixels"]
