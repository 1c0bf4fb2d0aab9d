import warnings

import numpy as np
import pytest
from PIL import Image

from hagan_lite import data
from hagan_lite.config import BUILD


@pytest.fixture
def brain():
    """A real slice, 40 x 64 pixels, uint8."""
    return data.load("mni152").images[60, 0, :40]


def save(folder, name, array, mode=None):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).convert(mode).save(folder / name) if mode else Image.fromarray(array).save(folder / name)


def test_the_embedded_data_set_is_axial_brains():
    d = data.load("mni152", 64)
    assert d.images.shape[1:] == (1, 64, 64)
    assert d.images.dtype == np.uint8
    assert 105 <= len(d) <= 125
    assert (d.images[:, 0, 0] == 0).all()  # a margin of background above
    middle = d.images[len(d) // 2, 0].astype(int)
    assert np.abs(middle - middle[:, ::-1]).mean() < 15  # left and right mirror each other


def test_grey_and_white_matter_are_told_apart():
    values = data.load("mni152").images[40:80]
    counts, edges = np.histogram(values[values > 20], bins=40, range=(20, 255))
    assert ((values > 110) & (values < 170)).sum() > 0.15 * (values > 20).sum()  # grey matter
    assert (values > 190).sum() > 0.25 * (values > 20).sum()  # white matter


def test_all_three_axes_by_option():
    assert 340 <= len(data.load("mni152-all")) <= 400


@pytest.mark.parametrize(("size", "channels"), [(64, 3), (256, 1)])
def test_other_sizes_and_channels(size, channels):
    assert data.load("mni152", size, channels).images.shape[1:] == (channels, size, size)


@pytest.mark.parametrize("name", ["mni152", "mni152-all"])
def test_no_group_is_on_both_sides_of_the_split(name):
    d = data.load(name)
    train, heldout = d.split(0.1)
    assert len(train) + len(heldout) == len(d)
    assert 0.05 * len(d) < len(heldout) < 0.25 * len(d)
    assert not set(d.groups[train]) & set(d.groups[heldout])
    assert len(d.split(0.0)[1]) == 0


def test_the_brains_held_out_slices_are_contiguous_blocks():
    _, heldout = data.load("mni152").split(0.1)
    assert (np.diff(heldout) == 1).mean() > 0.8


def test_a_folder_of_every_mode_becomes_the_same_picture(tmp_path, brain):
    grey = brain
    rgba = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    save(tmp_path / "modes", "a.png", grey)
    save(tmp_path / "modes", "b.png", grey, "RGB")
    save(tmp_path / "modes", "c.png", rgba)
    save(tmp_path / "modes", "d.png", grey, "LA")
    save(tmp_path / "modes", "e.bmp", grey)
    save(tmp_path / "modes", "f.png", (grey.astype(np.uint16) * 200))
    save(tmp_path / "modes", "g.tif", grey.astype(np.float32) / 7 - 3)
    Image.fromarray(grey).save(tmp_path / "modes" / "h.jpg", quality=95)
    d = data.load(str(tmp_path / "modes"))
    assert len(d) == 8
    assert d.name == "folder"
    scale = 255 / grey.max()  # 16-bit and float images are windowed by their own range
    for i, image in enumerate(d.images.astype(float)):
        wanted = d.images[0] * (scale if i in (5, 6) else 1)
        assert np.abs(image - wanted.clip(0, 255)).mean() < 3, i


def test_alpha_is_composited_on_black(tmp_path, brain):
    half = np.dstack([np.full_like(brain, 200)] * 3 + [np.full_like(brain, 0)])
    save(tmp_path / "alpha", "a.png", half)
    assert data.load(str(tmp_path / "alpha")).images.max() == 0


def test_broken_images_are_left_out_and_named(tmp_path, brain):
    folder = tmp_path / "broken"
    save(folder, "good.png", brain)
    (folder / "text.png").write_text("this is no picture")
    (folder / "empty.jpg").touch()
    whole = (folder / "good.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    bad = brain.astype(np.float32)
    bad[3, 3] = np.nan
    save(folder, "nan.tif", bad)
    with pytest.warns(UserWarning, match="left out 4 of 5") as caught:
        d = data.load(str(folder))
    assert len(d) == 1
    for name in ("text.png", "empty.jpg", "truncated.png", "nan.tif"):
        assert name in str(caught[0].message)


@pytest.mark.parametrize("content", [None, "only.txt", "only-broken.png"])
def test_nothing_usable_is_one_clear_error(tmp_path, content):
    if content:
        (tmp_path / content).write_text("nothing")
    with pytest.raises(data.DataError, match="mni152") as error:
        data.load(str(tmp_path))
    assert str(tmp_path) in str(error.value)


def test_a_missing_data_set_names_folder_source_and_alternative(tmp_path, monkeypatch):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    with pytest.raises(data.DataError, match="CT_NonCOVID") as error:
        data.load("covid-ct")
    assert "2003.13865" in str(error.value) and "mni152" in str(error.value) and str(tmp_path) in str(error.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(data.DataError, match="covid-ct"):
        data.load("no-such-thing")


def test_the_fingerprint_follows_the_content_and_not_the_place(tmp_path, brain):
    for place in ("one", "two"):
        save(tmp_path / place, "a.png", brain)
    save(tmp_path / "three", "a.png", 255 - brain)
    one, two, three = (data.load(str(tmp_path / p)).fingerprint for p in ("one", "two", "three"))
    assert one == two != three
    assert data.load("mni152", 64).fingerprint == data.load("mni152", 128).fingerprint


def test_a_changed_folder_is_read_again(tmp_path, brain):
    save(tmp_path / "grows", "a.png", brain)
    assert len(data.load(str(tmp_path / "grows"))) == 1
    save(tmp_path / "grows", "b.png", brain)
    assert len(data.load(str(tmp_path / "grows"))) == 2


def test_a_damaged_cache_is_made_again(tmp_path, brain):
    save(tmp_path / "cached", "a.png", brain)
    first = data.load(str(tmp_path / "cached"))
    (path,) = (BUILD / "cache").glob(f"folder-{first.fingerprint}*")
    path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(data.load(str(tmp_path / "cached")).images, first.images)


def test_other_patients_folders_are_another_split(tmp_path, brain):
    split = {}
    for layout in ("aabb", "abbb"):
        for i, patient in enumerate(layout):
            (tmp_path / layout / patient).mkdir(parents=True, exist_ok=True)
            save(tmp_path / layout / patient, f"{i}.png", brain // (i + 1))
        split[layout] = data.load(str(tmp_path / layout))
    assert split["aabb"].fingerprint != split["abbb"].fingerprint
    assert split["aabb"].groups.tolist() == [0, 0, 1, 1]
    assert split["abbb"].groups.tolist() == [0, 1, 1, 1]


def test_a_file_of_several_pages_is_left_out(tmp_path, brain):
    pages = [Image.fromarray(brain), Image.fromarray(brain)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    save(tmp_path, "one.png", brain)
    for _ in range(2):  # the second time from the cache: it must not fall silent
        with pytest.warns(UserWarning, match="pages.tif: 2 pages"):
            assert len(data.load(str(tmp_path))) == 1


def test_images_of_one_patients_folder_stay_together(tmp_path, brain):
    for patient in range(5):
        for i in range(3):
            save(tmp_path / "cases" / f"case{patient}", f"{i}.png", brain + patient + 7 * i)
    d = data.load(str(tmp_path / "cases"))
    assert [(d.groups == g).sum() for g in np.unique(d.groups)] == [3] * 5


def test_the_real_covid_ct_folder(covid_ct):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = data.load("covid-ct")
    assert d.images.shape == (397, 1, 64, 64)
    assert d.left_out == ()
    assert len(np.unique(d.groups)) < 300  # 1%0.jpg and 1%1.jpg belong together
    train, heldout = d.split(0.1)
    assert not set(d.groups[train]) & set(d.groups[heldout])
