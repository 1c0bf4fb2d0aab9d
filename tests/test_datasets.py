"""Data sets in their published layouts, and folders of one's own with what scanners write."""

import dataclasses
import itertools
import shutil
import struct
import sys
import warnings

import layouts
import nibabel as nib
import numpy as np
import pytest
from helpers import apart, hagan, noted, own
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from PIL import Image

from hagan_lite import datasets, drawing
from hagan_lite.config import DATASETS
from hagan_lite.datasets import _nifti, _tiff, brats2018, cache, loading
from hagan_lite.datasets.sources import source_of, titled
from hagan_lite.paper import PAPER_IMAGES, paper_name


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    return tmp_path


# ACDC


@pytest.mark.parametrize("between", ["", "database", "ACDC/database"])
def test_acdc_is_read_as_it_is_published(root, between):
    layouts.acdc(root, between=between)
    d = datasets.load("acdc")
    assert len(d) == 3 * 2 * 5  # patients, ED and ES, slices; no segmentation
    assert [(d.groups == g).sum() for g in np.unique(d.groups)] == [10] * 3
    assert d.left_out == () and noted(d, "30 images", "1798")
    train, heldout = d.split(0.3)
    assert not set(d.groups[train]) & set(d.groups[heldout])


def test_fewer_training_images_are_part_of_more_and_what_is_held_out_stays():
    d = datasets.load("mni152", 32)
    everything, heldout = d.split(0.2)
    few, more = d.split(0.2, 10)[0], d.split(0.2, 30)[0]
    assert (len(few), len(more)) == (10, 30)
    assert set(few) < set(more) < set(everything)
    assert all(np.array_equal(d.split(0.2, n)[1], heldout) for n in (10, 30, 10_000))
    assert np.array_equal(d.split(0.2, 10_000)[0], everything)
    whole = [
        np.isin(np.flatnonzero(d.groups == group), more).all() for group in set(d.groups[more])
    ]
    assert sum(whole) >= len(whole) - 1  # patient by patient: one at most is cut


def test_acdcs_frames_come_from_the_whole_cycle_where_they_have_no_file(
    root, tmp_path_factory, monkeypatch
):
    layouts.acdc(root)
    single = datasets.load("acdc").images
    other = tmp_path_factory.mktemp("cycle")
    layouts.acdc(other, single=False)
    monkeypatch.setenv("HAGAN_DATA", str(other))
    assert np.array_equal(datasets.load("acdc").images, single)


def test_acdc_without_info_takes_the_frames_that_have_a_file(root):
    layouts.acdc(root, patients=1, info=False)
    assert len(datasets.load("acdc")) == 10


def test_a_patient_without_frames_is_named_and_the_rest_is_used(root):
    layouts.acdc(root, patients=2)
    for file in (root / "acdc/training/patient002").glob("*.nii.gz"):
        file.unlink()
    with pytest.warns(
        UserWarning, match=r"training/patient002: neither patient002_frame01 nor patient002_4d"
    ):
        assert len(datasets.load("acdc")) == 10
    with pytest.raises(datasets.DataError, match="strict"):
        datasets.load("acdc", strict=True)


def test_acdc_tells_other_frames_apart(root):
    """Of the same file others were asked for: other images, another fingerprint."""
    layouts.acdc(root, single=False)
    before = datasets.load("acdc")
    for info in root.rglob("Info.cfg"):
        info.write_text("ED: 2\nES: 4\n")
    after = datasets.load("acdc")
    assert after.fingerprint != before.fingerprint and apart(after.images, before.images) > 1


def test_a_frame_that_is_not_there_is_named_and_a_second_copy_is_not_read(root):
    layouts.acdc(root, patients=1, single=False)
    layouts.acdc(root, patients=1, between="database")
    (root / "acdc/training/patient001/Info.cfg").write_text("ED: 0\nES: 3\n")
    with pytest.warns(UserWarning, match="no frame 0"):
        assert len(datasets.load("acdc")) == 5


def test_acdc_is_cropped_around_the_centre_and_a_folder_of_ones_own_padded(root):
    layouts.acdc(root, patients=1)
    (frame,) = root.rglob("patient001_frame01.nii.gz")
    layouts.nifti(root / "own" / "a.nii.gz", np.int16(nib.load(frame).get_fdata()), (1.5, 1.5, 10))
    wide = [
        np.ptp(np.flatnonzero(d.images[2, 0].any(0)))
        for d in (datasets.load("acdc"), own(root / "own"))
    ]
    assert wide[0] > 1.1 * wide[1]  # 66 columns fill the frame, or 66 of 78 do


def test_acdc_1798_is_the_first_1798_slices(root, monkeypatch):
    layouts.acdc(root)
    every = datasets.load("acdc")
    assert np.array_equal(
        datasets.load("acdc-1798").images, every.images
    )  # of fewer than 1798 slices it takes all
    source = datasets.find("acdc-1798")
    assert source.limit == 1798 and datasets.find("acdc").limit is None
    monkeypatch.setattr(loading, "find", lambda name, *_: dataclasses.replace(source, limit=17))
    some = datasets.load("acdc-1798")
    assert len(some) == 17 and np.array_equal(some.images, every.images[:17])
    assert some.groups.tolist() == [0] * 10 + [1] * 7


def test_one_heart_under_two_patients_names_is_one_group_and_alike_hearts_are_not(root):
    """In our copy of ACDC patient074 and patient076 have the same files, byte by byte."""
    layouts.acdc(root, patients=6)
    for number in (2, 5):  # drawn from one brain, they happen to be nearly the first one's copies
        shutil.rmtree(root / f"acdc/training/patient{number:03d}")
    for phase in ("frame01", "frame03"):
        copied = (root / f"acdc/training/patient001/patient001_{phase}.nii.gz").read_bytes()
        (root / f"acdc/training/patient004/patient004_{phase}.nii.gz").write_bytes(copied)
    d = datasets.load("acdc")
    assert [(d.groups == g).sum() for g in np.unique(d.groups)] == [20, 10, 10]
    assert d.groups.tolist() == [0] * 10 + [1] * 10 + [0] * 10 + [2] * 10
    assert noted(d, "20 images with a near duplicate")


def test_the_real_acdc(acdc):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = datasets.load("acdc", 64)
        fewer = datasets.load("acdc-1798", 64)
    assert d.images.shape == (1902, 1, 64, 64) and d.left_out == ()
    assert d.fingerprint == "5107bc0b91e3"  # or the committed records are of other images
    assert len(np.unique(d.groups)) == 99  # patient074 and patient076 are the same files
    assert noted(d, "1902 images", "1798")
    assert np.array_equal(fewer.images, d.images[:1798]) and fewer.fingerprint != d.fingerprint
    assert (
        len(np.unique(fewer.groups)) == 95
    )  # patient096 is cut short, patient097 to patient100 are absent
    assert not noted(fewer, "1902")
    for every in (d, fewer):
        train, heldout = every.split(0.1)
        assert not set(every.groups[train]) & set(every.groups[heldout])


# BraTS


@pytest.mark.parametrize("between", ["", "MICCAI_BraTS_2018_Data_Training"])
def test_brats_is_one_modality_of_each_case(root, between):
    layouts.brats(root, between=between)
    sets = {
        name: datasets.load(name)
        for name in ("brats2018", "brats2018-t1", "brats2018-t2", "brats2018-flair")
    }
    for name, d in sets.items():
        assert d.name == name and len(d) == 3 * 23
        assert [(d.groups == g).sum() for g in np.unique(d.groups)] == [23] * 3
    assert len({d.fingerprint for d in sets.values()}) == 4
    filled = (sets["brats2018"].images > 0).mean(axis=(1, 2, 3))
    assert filled.min() > 0.05 * filled.max()  # brain on every slice


def test_of_two_copies_of_brats_one_counts(root):
    layouts.brats(root)
    once = datasets.load("brats2018")
    layouts.brats(root, between="copy")
    assert datasets.load("brats2018").fingerprint == once.fingerprint


def test_brats_takes_as_many_as_the_paper_had(root, monkeypatch):
    layouts.brats(root)
    every = datasets.load("brats2018")
    monkeypatch.setattr(brats2018, "LIMIT", 50)
    some = datasets.load("brats2018")
    assert len(some) == 50 and np.array_equal(some.images, every.images[:50])


def test_a_case_without_the_modality_is_named(root):
    layouts.brats(root)
    (root / "brats2018/LGG/Brats18_002/Brats18_002_t1ce.nii.gz").unlink()
    with pytest.warns(UserWarning, match=r"LGG/Brats18_002: no Brats18_002_t1ce"):
        assert len(datasets.load("brats2018")) == 46


@pytest.mark.parametrize("name", [name for name in DATASETS if not name.startswith("mni152")])
def test_a_data_set_that_is_not_here_says_where_to_get_it(root, name):
    with pytest.raises(datasets.DataError, match=f"^{name}: ") as error:
        datasets.load(name)
    for what in (str(root), datasets.where_to_get(name), "mni152"):
        assert what in str(error.value)


ANOTHER = """
from hagan_lite.datasets.sources import DataError, Listing, Source

HELP = "ask the author, and put the pictures into another/"


def find(root, variant=""):
    place = root / "another"
    if not place.is_dir():
        raise DataError(f"no folder {place}; {HELP}")
    sources = [Source(p, p.stem[0]) for p in sorted(place.glob("*.png"))]
    return Listing(place, sources, [], patients=True, limit=int(variant) if variant else None)
"""
"""A data set's file as CONTRIBUTING.md describes it: names begin with a patient's letter."""


def test_a_slice_of_other_bits_leaves_the_rest_of_its_examination_readable(root):
    """With one window for both kinds the six slices of 8 bits would be black."""
    layouts.lgg(root, patients=1, channels=1, masks=False)
    plain = datasets.load("lgg").images
    path = next((root / "lgg").rglob("*_6.tif"))
    with Image.open(path) as image:
        deep = np.asarray(image).astype(np.uint16) * 200
    saved(deep, path)
    mixed = datasets.load("lgg")
    assert len(mixed) == len(plain) and mixed.images.max((1, 2, 3)).min() > 100
    assert any("bits" in note for note in mixed.notes)


def test_a_data_set_is_added_by_a_file_and_a_line(root, tmp_path_factory, monkeypatch):
    added = tmp_path_factory.mktemp("added")
    (added / "another.py").write_text(ANOTHER)
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(added)])
    monkeypatch.setitem(DATASETS, "another", "pictures")
    monkeypatch.setitem(DATASETS, "another-2", "the first two of them")
    with pytest.raises(datasets.DataError, match="ask the author"):
        datasets.load("another")
    (root / "another").mkdir()
    for name, image in zip(
        ["a1", "a2", "b1", "b2"], datasets.load("mni152").images[40:44, 0], strict=True
    ):
        Image.fromarray(image).save(root / "another" / f"{name}.png")
    assert datasets.load("another").groups.tolist() == [0, 0, 1, 1]
    assert len(datasets.load("another-2")) == 2


@pytest.mark.parametrize("name", ["folder", "cache", "fetch"])
def test_a_data_set_cannot_have_the_name_of_a_file_that_serves_all(root, monkeypatch, name):
    """The data root itself would be read as a folder of one's own."""
    monkeypatch.setitem(DATASETS, name, "pictures")
    Image.effect_noise((40, 40), 60).save(root / "scan.png")
    for ask in (datasets.load, datasets.where_to_get):
        with pytest.raises(datasets.DataError, match="another name"):
            ask(name)


@pytest.mark.parametrize("name", ["acdc-17q8", "covid-ct-all"])
def test_a_variant_that_is_no_number_is_named(root, monkeypatch, name):
    monkeypatch.setitem(DATASETS, name, "a variant that nobody has")
    layouts.acdc(root, patients=1)
    (root / "covid-ct" / "CT_NonCOVID").mkdir(parents=True)
    Image.effect_noise((40, 40), 60).save(root / "covid-ct" / "CT_NonCOVID" / "1.png")
    with pytest.raises(datasets.DataError, match=name.rpartition("-")[2]):
        datasets.load(name)


# LGG


def saved(array, path, **kw):
    """Write a TIFF as tifffile does, which knows more kinds than Pillow."""
    tifffile = pytest.importorskip("tifffile")
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, **kw)


@pytest.mark.parametrize("between", ["kaggle_3m", "", "lgg-mri-segmentation/kaggle_3m"])
def test_lgg_is_read_as_it_is_published(root, between):
    layouts.lgg(root, between=between)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # masks are not left out: nobody wants to hear of them
        d = datasets.load("lgg")
    assert d.name == "lgg" and d.images.shape == (3 * 12, 1, 64, 64) and d.left_out == ()
    assert [(d.groups == g).sum() for g in np.unique(d.groups)] == [12] * 3
    assert noted(d, "36 files")
    assert not noted(d, "paper")
    train, heldout = d.split(0.3)
    assert not set(d.groups[train]) & set(d.groups[heldout])


def test_of_three_channels_the_middle_one_is_used(root, tmp_path_factory, monkeypatch):
    layouts.lgg(root)
    three = datasets.load("lgg").images
    other = tmp_path_factory.mktemp("flair")
    layouts.lgg(other, channels=1, masks=False)
    monkeypatch.setenv("HAGAN_DATA", str(other))
    assert np.array_equal(datasets.load("lgg").images, three)


def test_of_two_copies_of_lgg_one_is_read(root):
    """Kaggle's archive holds every file twice."""
    layouts.lgg(root)
    layouts.lgg(root, between="lgg-mri-segmentation/kaggle_3m")
    assert len(datasets.load("lgg")) == 36


def test_slices_are_in_the_order_of_their_numbers(root):
    layouts.lgg(root, patients=1)
    numbers = [int(source.path.stem.split("_")[-1]) for source in datasets.find("lgg").sources]
    assert numbers == list(range(1, 13))


def test_two_examinations_of_one_patient_are_one_group_with_a_window_each(root):
    layouts.lgg(root, patients=2)  # the second is five times darker
    apart_they_are = datasets.load("lgg").images
    (root / "lgg/kaggle_3m/TCGA_XX_0002_19960909").rename(
        root / "lgg/kaggle_3m/TCGA_XX_0001_19990909"
    )
    d = datasets.load("lgg")
    assert len(d) == 24 and len(np.unique(d.groups)) == 1
    assert np.array_equal(d.images, apart_they_are)  # in the same order


def test_a_dark_scanner_is_windowed_like_a_bright_one(root, tmp_path_factory, monkeypatch):
    layouts.lgg(root)
    with_dark = datasets.load("lgg").images
    other = tmp_path_factory.mktemp("bright")
    layouts.lgg(other, darker=1)
    monkeypatch.setenv("HAGAN_DATA", str(other))
    bright = datasets.load("lgg").images
    assert np.array_equal(
        with_dark[:24], bright[:24]
    )  # the dark patient does not change the others
    assert apart(with_dark[24:], bright[24:]) < 4  # a few grey levels were lost in the file
    assert np.median(with_dark[:, 0, :5, :5]) < 15  # the noise around the head stays dark


def test_all_slices_of_an_examination_have_one_window(root):
    """With a window of its own each slice would be as bright as the next."""
    layouts.lgg(root, patients=1, darker=1)
    stored = layouts.flair(1).mean(axis=(1, 2))
    shown = datasets.load("lgg").images.mean(axis=(1, 2, 3))
    assert np.corrcoef(stored, shown)[0, 1] > 0.99


def test_constant_slices_of_lgg_are_dropped_and_counted(root):
    layouts.lgg(root)
    folder = root / "lgg/kaggle_3m/TCGA_XX_0001_19960909"
    for number, value in ((13, 0), (14, 40)):
        Image.new("L", (66, 78), value).save(folder / f"{folder.name}_{number}.tif")
    black = root / "lgg/kaggle_3m/TCGA_XX_0009_19960909"
    black.mkdir()
    Image.new("L", (66, 78), 0).save(black / f"{black.name}_1.tif")
    d = datasets.load("lgg")
    assert len(d) == 36 and noted(d, "3 constant") and d.left_out == ()


def test_slices_of_lgg_that_cannot_be_used_are_named_with_the_remedy_and_the_rest_is_used(root):
    layouts.lgg(root)
    whole = datasets.load("lgg")
    folder = root / "lgg/kaggle_3m/TCGA_XX_0001_19960909"
    good = (folder / f"{folder.name}_1.tif").read_bytes()
    plane = layouts.flair(1)[0]
    tiff = {
        name: folder / f"{name}_20.tif"
        for name in ("two", "four", "deep", "pages", "cut", "empty", "text", "hole")
    }
    saved(
        np.stack([plane] * 2, axis=-1), tiff["two"], photometric="minisblack", planarconfig="contig"
    )
    saved(np.stack([plane] * 4, axis=-1), tiff["four"], photometric="rgb")
    saved(np.stack([plane.astype(np.uint16) * 99] * 3, axis=-1), tiff["deep"], photometric="rgb")
    saved(np.stack([plane] * 2), tiff["pages"], photometric="minisblack")
    tiff["cut"].write_bytes(good[: len(good) // 2])
    tiff["empty"].touch()
    tiff["text"].write_text("no picture")
    broken = bytearray(tiff["pages"].read_bytes())
    broken[-200:] = b"\xff" * 200
    tiff["hole"].write_bytes(bytes(broken[: len(broken) // 2]))
    with pytest.warns(UserWarning, match="left out 8 of 44"):
        d = datasets.load("lgg")
    assert np.array_equal(d.images, whole.images)  # what cannot be read does not move the window
    said = dict(line.split(": ", 1) for line in d.left_out)
    said = {name: said[f"kaggle_3m/{folder.name}/{path.name}"] for name, path in tiff.items()}
    wanted = dict(two="2 channels", four="4 channels", deep="16 bits", pages="2 pages")
    wanted |= dict.fromkeys(("cut", "text", "hole"), "damaged") | dict(empty="empty")
    for name, part in wanted.items():
        assert part in said[name], name
    with pytest.raises(datasets.DataError, match="strict"):
        datasets.load("lgg", strict=True)


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_grey_slices_of_more_bits_are_read_too(root, kind):
    for k, plane in enumerate(layouts.flair(1), start=1):
        saved(
            plane.astype(kind) * 7,
            root / "lgg/TCGA_XX_0001_19960909" / f"TCGA_XX_0001_19960909_{k}.tif",
        )
    layouts.lgg(root / "bytes", patients=2, between="")
    wide = datasets.load("lgg").images
    assert apart(wide, np.stack([p for p in own_lgg(root / "bytes")])) < 1


def own_lgg(root):
    """Return the first patient's twelve images of the copy below `root`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HAGAN_DATA", str(root))
        return datasets.load("lgg").images[:12]


def test_a_folder_with_masks_only_is_named(root):
    layouts.lgg(root, patients=2)
    folder = root / "lgg/kaggle_3m/TCGA_XX_0001_19960909"
    for path in folder.glob("*[0-9].tif"):
        path.unlink()
    with pytest.warns(
        UserWarning, match=r"kaggle_3m/TCGA_XX_0001_19960909: no slices .* unpack the archive again"
    ):
        assert len(datasets.load("lgg")) == 12
    for path in (root / "lgg").rglob("*[0-9].tif"):
        path.unlink()
    with pytest.raises(
        datasets.DataError,
        match=r"^lgg: no image: 24 masks .* and no slices in .*kaggle_3m; register",
    ):
        datasets.load("lgg")


def test_one_examination_is_in_memory_at_a_time(root, monkeypatch):
    """Every file is opened twice: for the window of its examination, and by itself."""
    layouts.lgg(root)
    opened = []
    real = _tiff.read_plane
    monkeypatch.setattr(_tiff, "read_plane", lambda path: opened.append(path.parent) or real(path))
    datasets.load("lgg")
    changes = sum(a != b for a, b in itertools.pairwise(opened))
    assert len(opened) == 2 * 36 and changes == 2


def test_the_real_lgg(lgg):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = datasets.load("lgg", 64)
    assert d.images.shape == (1328, 1, 64, 64) and d.left_out == ()
    assert len(np.unique(d.groups)) == 110
    assert d.fingerprint == "7f792c43a3f5"  # or the committed records are of other images
    brightest = [d.images[d.groups == g].max() for g in np.unique(d.groups)]
    assert (
        min(brightest) > 200
    )  # three scanners give no more than 92, 83 and 154 of 255 grey levels
    assert (
        np.median(d.images[:, 0, :6, :6], axis=(1, 2)) < 25
    ).all()  # noise around the head stays dark


# Sources


def test_who_must_be_named_beside_the_images_is_known():
    assert source_of("acdc") == source_of("acdc-1798") == "Bernard et al. 2018, CC BY-NC-SA 4.0"
    assert source_of("lgg") == "Buda et al. 2019, CC BY-NC-SA 4.0"
    assert source_of("mni152") == source_of("covid-ct") == source_of("folder") == ""
    assert titled("hagan on lgg", "lgg") == "hagan on lgg\nBuda et al. 2019, CC BY-NC-SA 4.0"
    assert titled("hagan on mni152", "mni152") == "hagan on mni152"
    assert "lgg" not in PAPER_IMAGES


def test_a_contact_sheet_names_the_source(root, monkeypatch):
    layouts.lgg(root)
    drawn = []
    real = drawing.gallery
    monkeypatch.setattr(
        drawing, "gallery", lambda *a, **kw: drawn.append(real(*a, **kw)) or drawn[-1]
    )
    done = hagan("data", "check", "lgg", "--sheet", str(root / "sheet.png"))
    assert done.exit_code == 0, done.output
    assert (
        drawn[0].get_suptitle()
        == "lgg: 36 of 36 images, evenly spread\nBuda et al. 2019, CC BY-NC-SA 4.0"
    )


# NIfTI


def test_every_orientation_of_a_volume_is_the_same_picture(tmp_path):
    image = nib.Nifti1Image(layouts.patient(1), np.diag([3, 3, 3, 1.0]))
    for codes in ("RAS", "LPS", "LAS", "ASR", "PIR", "SAL"):
        turned = image.as_reoriented(
            ornt_transform(io_orientation(image.affine), axcodes2ornt(codes))
        )
        layouts.nifti(
            tmp_path / codes / "a.nii.gz", turned.get_fdata(dtype=np.float32), affine=turned.affine
        )
    wanted = own(tmp_path / "RAS").images
    for codes in ("LPS", "LAS", "ASR", "PIR", "SAL"):
        assert np.array_equal(own(tmp_path / codes).images, wanted), codes
    middle = wanted[len(wanted) // 2, 0]
    rows, columns = np.flatnonzero(middle.any(1)), np.flatnonzero(middle.any(0))
    assert np.ptp(rows) > np.ptp(columns)  # a head is longer than it is wide: front is up


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_front_is_up_and_left_is_left(tmp_path, codes):
    volume = np.zeros((32, 32, 4), np.float32)
    volume[4:8, 24:28] = 1  # at the left (R counts up to the right) and at the front
    volume[0, 0] = 0.5
    image = nib.Nifti1Image(volume, np.eye(4))
    turned = image.as_reoriented(ornt_transform(io_orientation(image.affine), axcodes2ornt(codes)))
    layouts.nifti(tmp_path / "a.nii", turned.get_fdata(dtype=np.float32), affine=turned.affine)
    rows, columns = np.nonzero(own(tmp_path).images[0, 0] > 200)
    assert rows.max() < 20 and columns.max() < 20


def test_a_volume_of_one_slice_is_that_slice(tmp_path):
    layouts.nifti(tmp_path / "coronal.nii", layouts.patient(1)[:, 40:41])
    d = own(tmp_path)
    assert len(d) == 1 and (d.images > 50).mean() > 0.3


def test_a_mask_is_an_image_like_any_other_where_masks_are_asked_for(tmp_path):
    layouts.nifti(tmp_path / "mask.nii", np.uint8(layouts.patient(1) > 0))
    with pytest.raises(datasets.DataError, match="all 1 images are masks by their names.*--masks"):
        datasets.load(str(tmp_path))
    assert set(np.unique(own(tmp_path, masks=True).images[20])) >= {0, 255}


def test_slices_lie_across_the_thick_axis(tmp_path):
    layouts.nifti(tmp_path / "coronal.nii", layouts.patient(1)[:, ::4], (3, 12, 3))
    d = own(tmp_path)
    assert len(d) == int((layouts.patient(1)[:, ::4].max((0, 2)) > 0).sum())


def test_pixels_that_are_no_squares_are_resampled_first(tmp_path):
    y, x = np.mgrid[-30:30, -60:60]
    disc = (
        np.float32((2 * y) ** 2 + x**2 < 50**2) * 100
    )  # a circle where rows are twice as far apart as columns
    disc = disc + np.random.default_rng(0).random(disc.shape, dtype=np.float32)
    layouts.nifti(tmp_path / "disc.nii", np.stack([disc.T] * 3, -1), (1, 2, 8))
    image = own(tmp_path).images[0, 0] > 128
    wide, high = image.any(0).sum(), image.any(1).sum()
    assert abs(int(wide) - int(high)) <= 1


@pytest.mark.parametrize(
    ("dtype", "slope", "intercept"),
    [(np.uint8, 0.01, 0), (np.int16, 1e-3, -7.5), (np.uint16, 0, 0), (np.float64, 1, 0)],
)
def test_every_number_type_with_slope_and_intercept_is_the_same_picture(
    tmp_path, dtype, slope, intercept
):
    volume = layouts.patient(2)
    layouts.nifti(tmp_path / "float" / "a.nii", volume)
    stored = volume * 1000 if not slope else (volume - intercept) / slope
    layouts.nifti(
        tmp_path / "other" / "a.nii",
        stored.round(0 if np.issubdtype(dtype, np.integer) else 9).astype(dtype),
    )
    with (tmp_path / "other" / "a.nii").open("r+b") as file:
        file.seek(
            112
        )  # scl_slope and scl_inter of the header; a slope of 0 means that there is none
        file.write(struct.pack("<2f", slope, intercept))
    assert apart(own(tmp_path / "other").images, own(tmp_path / "float").images) < 2


def test_nan_and_infinity_become_background_and_are_said(tmp_path):
    volume = layouts.patient(3)
    layouts.nifti(tmp_path / "whole" / "a.nii", volume)
    holes = volume.copy()
    holes[:3], holes[-1, 0, 0] = np.nan, np.inf
    holes[volume == 0] = np.nan  # as many programs write what lies outside the brain
    layouts.nifti(tmp_path / "holes" / "a.nii", holes)
    d = own(tmp_path / "holes")
    assert noted(d, "NaN")
    assert (d.images[:, 0, 0] == 0).all()
    low, high = (own(tmp_path / name).images.mean() for name in ("whole", "holes"))
    assert abs(low - high) < 6


def test_constant_slices_are_dropped_and_counted(tmp_path):
    volume = layouts.patient(1).copy()
    volume[:, :, :20] = 0
    layouts.nifti(tmp_path / "a.nii", volume)
    d = own(tmp_path)
    empty = int((volume.max((0, 1)) == 0).sum())
    assert len(d) == volume.shape[2] - empty
    assert noted(d, f"{empty} constant")


def test_of_a_series_of_volumes_the_first_is_used_and_that_is_said(tmp_path):
    volume = layouts.patient(1)
    layouts.nifti(tmp_path / "series" / "a.nii", np.stack([volume, volume[::-1]], -1))
    layouts.nifti(tmp_path / "first" / "a.nii", volume)
    d = own(tmp_path / "series")
    assert np.array_equal(d.images, own(tmp_path / "first").images)
    assert noted(d, "4D")


def test_damaged_volumes_are_left_out_and_named(tmp_path):
    layouts.nifti(tmp_path / "good.nii.gz", layouts.patient(1))
    whole = (tmp_path / "good.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    layouts.nifti(tmp_path / "cut.nii", layouts.patient(1))
    (tmp_path / "cut.nii").write_bytes((tmp_path / "cut.nii").read_bytes()[:50_000])
    (tmp_path / "text.nii").write_text("no volume")
    (tmp_path / "empty.nii.gz").touch()
    layouts.nifti(tmp_path / "flat.nii", np.ones((9, 9, 9), np.float32))
    layouts.nifti(tmp_path / "nowhere.nii", np.full((9, 9, 9), np.nan, np.float32))
    layouts.nifti(tmp_path / "plane.nii", np.ones((9, 9), np.float32))
    layouts.nifti(tmp_path / "pixels.nii", layouts.patient(1), (1, 500, 600))
    with pytest.warns(UserWarning, match="left out 8 of 9") as caught:
        d = datasets.load(str(tmp_path))
    for name in (
        "cut.nii.gz",
        "cut.nii",
        "text.nii",
        "empty.nii.gz",
        "flat.nii",
        "nowhere.nii",
        "plane.nii",
        "pixels.nii",
    ):
        assert f"{name}: " in str(caught[0].message)
    assert len(np.unique(d.groups)) == 1


def test_a_volume_is_one_group_and_its_folder_another(tmp_path):
    layouts.nifti(tmp_path / "a" / "first.nii.gz", layouts.patient(1))
    layouts.nifti(tmp_path / "a" / "second.nii.gz", layouts.patient(2))
    layouts.nifti(tmp_path / "b" / "third.nii.gz", layouts.patient(3))
    d = own(tmp_path)
    assert len(np.unique(d.groups)) == 2


# DICOM


def dicom(path, pixels, **tags):
    """A file as a scanner writes it, 12 of 16 bits."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    ds.Modality, ds.PatientName = "CT", "Smith^Jane"
    ds.Rows, ds.Columns = pixels.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.PixelData = pixels.astype("<i2").tobytes()
    for name, value in tags.items():
        setattr(ds, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    assert pydicom.dcmread(path).Rows == ds.Rows


@pytest.fixture
def plane():
    """A slice in stored values: Hounsfield units + 1024, air around, (78, 66)."""
    return np.rot90(layouts.patient(1)[:, :, 30]) * 1100 + 0


def test_a_dicom_file_is_rescaled_and_windowed(tmp_path, plane):
    tags = dict(RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=-474, WindowWidth=1101)
    dicom(tmp_path / "a.dcm", plane, **tags)
    image = own(tmp_path).images[0, 0].astype(int)
    assert image.min() == 0 and image.max() == 255
    from hagan_lite.datasets.pixels import pad_to_square, resize

    wanted = resize(
        pad_to_square(((np.int16(plane) - 1024 + 474 + 0.5) / 1100 + 0.5).clip(0, 1), 0), 64
    )
    assert apart(image, wanted) < 1


def test_without_a_window_the_files_percentiles_are_one(tmp_path, plane):
    dicom(tmp_path / "a.dcm", plane)
    image = own(tmp_path).images[0, 0]
    assert image.max() == 255 and (image == 0).mean() > 0.2


def test_of_several_windows_the_first_is_used(tmp_path, plane):
    dicom(tmp_path / "a" / "a.dcm", plane, WindowCenter=500, WindowWidth=1000)
    dicom(tmp_path / "b" / "b.dcm", plane, WindowCenter=[500, 40], WindowWidth=[1000, 80])
    assert apart(own(tmp_path / "a").images, own(tmp_path / "b").images) == 0


def test_frames_of_one_file_have_spacing_window_and_rescaling_of_their_own(tmp_path, plane):
    """An enhanced multi-frame file has them in functional groups.

    A frame of two values does not end the others.
    """
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    def group(**named):
        outer = Dataset()
        for name, tags in named.items():
            inner = Dataset()
            for tag, value in tags.items():
                setattr(inner, tag, value)
            setattr(outer, name, Sequence([inner]))
        return outer

    frames = np.int16(
        np.stack([plane[::2], plane[::2] * 0 + 7, plane[::2] > 300, 500 - plane[::2] / 2])
    )
    shared = group(
        PixelMeasuresSequence=dict(PixelSpacing=[6, 3]),
        FrameVOILUTSequence=dict(WindowCenter=500, WindowWidth=1000),
        PixelValueTransformationSequence=dict(RescaleSlope=1, RescaleIntercept=0),
    )
    third = group(PixelValueTransformationSequence=dict(RescaleSlope=-2, RescaleIntercept=1000))
    mask = group(FrameVOILUTSequence=dict(WindowCenter=1, WindowWidth=1))
    tags = dict(
        NumberOfFrames=4,
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PixelData=frames.tobytes(),
    )
    tags |= dict(PerFrameFunctionalGroupsSequence=Sequence([Dataset(), Dataset(), mask, third]))
    dicom(tmp_path / "a" / "a.dcm", plane[::2], **tags)
    dicom(tmp_path / "b" / "b.dcm", plane, WindowCenter=500, WindowWidth=1000)
    d, wanted = own(tmp_path / "a"), own(tmp_path / "b").images[0]
    assert len(d) == 3 and noted(d, "1 constant")
    assert apart(d.images[0], wanted) < 8 and apart(d.images[2], wanted) < 8


def test_files_that_all_bear_one_patient_are_anonymised(tmp_path):
    for n in range(6):
        pixels = np.rot90(layouts.patient(n)[:, :, 20 + 4 * n]) * 1000
        dicom(tmp_path / f"case{n % 3}" / f"{n}.dcm", pixels, PatientID="ANONYMOUS")
    d = own(tmp_path)
    assert len(np.unique(d.groups)) == 3 and noted(d, "PatientID")


def test_white_air_is_made_black(tmp_path, plane):
    dicom(tmp_path / "a" / "a.dcm", plane, WindowCenter=500, WindowWidth=1000)
    tags = dict(WindowCenter=500, WindowWidth=1000, PhotometricInterpretation="MONOCHROME1")
    dicom(tmp_path / "b" / "b.dcm", 999 - plane, **tags)
    assert apart(own(tmp_path / "a").images, own(tmp_path / "b").images) < 2


def test_a_dicom_patient_is_a_group_wherever_the_files_lie_and_is_named_nowhere(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(cache, "BUILD", tmp_path / "build")
    planes = [np.rot90(layouts.patient(n)[:, :, 20 + 4 * n]) * 1000 for n in range(6)]
    for n, pixels in enumerate(planes):
        place = tmp_path / "scans" / f"series{n}"
        dicom(place / "IM0001", pixels, PatientID=f"secret-{n % 2}")
    d = own(tmp_path / "scans")
    assert len(d) == 6 and d.groups.tolist() == [0, 1, 0, 1, 0, 1]
    files = list((tmp_path / "build" / "cache").iterdir())
    assert files
    for file in files:
        content = file.read_bytes()
        assert b"secret" not in content and b"series" not in content and b"Smith" not in content, (
            file
        )


def test_pixels_of_a_dicom_file_that_are_no_squares_are_resampled(tmp_path, plane):
    dicom(tmp_path / "a" / "a.dcm", plane, PixelSpacing=[3, 3])
    dicom(tmp_path / "b" / "b.dcm", plane[::2], PixelSpacing=[6, 3])
    assert apart(own(tmp_path / "a").images, own(tmp_path / "b").images) < 8


def test_dicom_files_without_an_image_and_damaged_ones_are_left_out(tmp_path, plane):
    dicom(tmp_path / "good.dcm", plane)
    dicom(tmp_path / "report.dcm", plane, Modality="SR")
    import pydicom

    ds = pydicom.dcmread(tmp_path / "report.dcm")
    del ds.PixelData
    ds.save_as(tmp_path / "report.dcm")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "good.dcm").read_bytes()[:3000])
    (tmp_path / "text.dcm").write_text("no DICOM")
    d = own(tmp_path)
    assert len(d) == 1
    reasons = "\n".join(d.left_out)
    assert (
        "report.dcm: no picture of a patient but a structured report" in reasons
        and "cut.dcm: " in reasons
        and "text.dcm: " in reasons
    )


def test_without_pydicom_the_remedy_is_said(tmp_path, plane, monkeypatch):
    dicom(tmp_path / "a.dcm", plane)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(
        datasets.DataError, match=r"a\.dcm: a DICOM file: pip install 'hagan-lite\[dicom\]'"
    ):
        datasets.load(str(tmp_path))
    monkeypatch.undo()  # as if it were installed now
    assert len(datasets.load(str(tmp_path))) == 1


def test_files_of_real_scanners_are_read(tmp_path):
    """pydicom ships CT and MR of real scanners, ultrasound with a palette, colour in two spaces."""
    from pydicom.data import get_testdata_file

    for name in (
        "CT_small.dcm",
        "MR_small.dcm",
        "SC_rgb_rle.dcm",
        "examples_palette.dcm",
        "examples_jpeg2k.dcm",
    ):
        shutil.copyfile(get_testdata_file(name), tmp_path / name)
    d = own(tmp_path)
    assert d.left_out == () and len(d) == 5
    assert (d.images.std(axis=(1, 2, 3)) > 20).all()
    (tmp_path / "series").mkdir()
    shutil.copyfile(get_testdata_file("examples_ybr_color.dcm"), tmp_path / "series" / "IM0001")
    heart = own(tmp_path / "series")
    assert len(heart) == 30 and len(np.unique(heart.groups)) == 1
    assert (
        np.median(heart.images, axis=(1, 2, 3)) < 10
    ).all()  # ultrasound is black around: YBR was not taken for RGB


def test_brats_begins_with_high_grades_and_ends_where_the_paper_had_enough(root):
    """So that the 6528 slices of the paper's number leave out low grades."""
    layouts.brats(root)
    grades = [source.path.parts[-3] for source in datasets.find("brats2018").sources]
    assert grades == ["HGG", "HGG", "LGG"]


def test_slices_are_spread_from_the_first_with_anatomy_to_the_last():
    chosen = _nifti._evenly_spaced(np.arange(10, 111), 5)
    assert chosen.tolist() == [10, 35, 60, 85, 110]
    assert _nifti._evenly_spaced(np.arange(3), 5).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "papers"),
    [("brats2018-flair", "brats2018"), ("acdc-1798", "acdc"), ("acdc", "acdc"), ("lgg", "lgg")],
)
def test_a_variant_is_compared_with_the_papers_data_set(name, papers):
    assert paper_name(name) == papers


def test_a_dark_slice_stays_dark_beside_the_others_of_its_examination(root):
    """A window of its own would make it as bright as they are; its own for all, them white."""
    layouts.lgg(root, patients=1, channels=1, masks=False, darker=1)
    before = datasets.load("lgg").images
    path = next((root / "lgg").rglob("*_1.tif"))
    with Image.open(path) as image:
        dark = np.asarray(image) // 4
    Image.fromarray(dark).save(path)
    after = datasets.load("lgg").images
    assert after[0].max() < 100 < before[0].max()
    assert apart(after[1:], before[1:]) < 8
