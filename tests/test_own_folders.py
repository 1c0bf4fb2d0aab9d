"""What people put into a folder of their own, each kind with what should come of it (issue 26)."""

import gzip
import json
import struct
import warnings

import layouts
import numpy as np
import pytest
from helpers import apart, noted, own
from PIL import Image

from hagan_lite import datasets, runs
from hagan_lite.batch import notebooks
from hagan_lite.cli.options import located
from hagan_lite.config import Experiment
from hagan_lite.datasets import _dicom, _duplicates, loading, reading

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


@pytest.fixture
def plane():
    """A square slice of real anatomy in stored values 0 to 1000, air around, (66, 66) uint16."""
    return np.uint16(np.rot90(layouts.patient(1)[:, :, 30])[6:72] * 700).clip(0, 1000)


def dicom(path, pixels, syntax=EXPLICIT, sop=CT, preamble=True, **tags):
    """Write a DICOM file of `pixels`, (H, W), (N, H, W) or (H, W, 3), with further `tags`."""
    pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import generate_uid

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = sop
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality, ds.PatientID = "CT", path.stem
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    ds.Rows, ds.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    if pixels.ndim == 3 and not colour:
        ds.NumberOfFrames = len(pixels)
    ds.BitsAllocated = ds.BitsStored = 8 * pixels.itemsize
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    ds.PixelData = (pixels.byteswap() if syntax == BIG else pixels).tobytes()
    for name, value in tags.items():
        setattr(ds, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    implicit, little = syntax == IMPLICIT, syntax != BIG
    if preamble:
        ds.save_as(path, enforce_file_format=True)
    else:
        del ds.file_meta
        ds.save_as(path, implicit_vr=implicit, little_endian=little, enforce_file_format=False)


def table(vr, values, modality=False, first=0):
    """A lookup table sequence of one item."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    item = Dataset()
    item.add_new(0x00283002, "US", [len(values), first, 16])
    if modality:
        item.add_new(0x00283004, "LO", "US")
    data = np.asarray(values, "<u2")
    item.add_new(0x00283006, vr, data.tobytes() if vr == "OW" else data.tolist())
    return Sequence([item])


# 1. What is no picture of a patient


@pytest.mark.parametrize(
    ("sop", "modality"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "SEG"),
        ("1.2.840.10008.5.1.4.1.1.66.7", "SEG"),  # a label map: pydicom 3.0 has no name for it
        ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "PR"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "DOC"),
        ("1.2.840.10008.5.1.4.1.1.7", "SEG"),  # a mask saved as secondary capture
    ],
)
def test_what_is_made_from_pictures_is_left_out_and_named(tmp_path, plane, sop, modality):
    dicom(tmp_path / "ct.dcm", plane)
    dicom(tmp_path / "other.dcm", np.uint8(plane > 500), sop=sop, Modality=modality)
    d = own(tmp_path)
    assert len(d) == 1 and d.left_out[0].startswith("other.dcm: no picture of a patient but a ")
    assert f"Modality {modality}" in d.left_out[0]


def test_radiotherapys_own_pictures_are_used(tmp_path, plane):
    dicom(tmp_path / "a.dcm", plane, sop="1.2.840.10008.5.1.4.1.1.481.1", Modality="RTIMAGE")
    assert len(own(tmp_path)) == 1


def test_localizers_and_mosaics_are_counted(tmp_path, plane):
    dicom(tmp_path / "ct.dcm", plane)
    dicom(tmp_path / "scout.dcm", plane, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    tiles = np.tile(plane, (2, 2))
    dicom(tmp_path / "m.dcm", tiles, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    d = own(tmp_path)
    assert len(d) == 1 and "2 DICOM localizers and mosaics (ImageType), left out" in d.notes


def test_saved_screens_and_reports_are_counted_and_a_low_dose_scan_is_used(tmp_path, plane):
    kinds = {"save": "SCREEN SAVE", "dose": "DOSE_INFO", "report": "REPORT", "ct": "LOW_DOSE"}
    for name, kind in kinds.items():
        dicom(tmp_path / f"{name}.dcm", plane, ImageType=["DERIVED", "SECONDARY", kind])
    d = own(tmp_path)
    assert len(d) == 1 and noted(d, "3 DICOM screens")


def test_text_in_the_pixels_is_a_note(tmp_path, plane):
    for name, value in (("a", "YES"), ("b", "NO")):
        dicom(tmp_path / f"{name}.dcm", plane, BurnedInAnnotation=value)
    assert noted(own(tmp_path), "1 DICOM files", "BurnedInAnnotation")


@pytest.mark.parametrize(
    "name",
    ["a_gt.png", "a-seg.tif", "a_mask_1.png", "mask/a.png", "labelsTr/a.png", "LungMask/a.png"]
    + ["Mask-007.png", "label.png", "x/ground_truth/a.png", "brainmask.tif", "a.label.png"],
)
def test_masks_are_left_out_by_name_and_kept_where_asked_for(tmp_path, plane, name):
    picture, mask = (
        Image.fromarray(np.uint8(plane / 4)),
        Image.fromarray(np.uint8(plane > 500) * 255),
    )
    picture.save(tmp_path / "a.png")
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    mask.save(tmp_path / name)
    d = own(tmp_path)
    assert len(d) == 1 and any(note.startswith("1 masks by their names") for note in d.notes)
    assert len(own(tmp_path, masks=True)) == 2


@pytest.mark.parametrize(
    "name", ["unlabelled_1.png", "image_12.png", "segment-3.png", "IM0001.png"]
)
def test_other_names_are_no_masks(tmp_path, plane, name):
    Image.fromarray(np.uint8(plane / 4)).save(tmp_path / name)
    assert len(own(tmp_path)) == 1


def test_masks_beside_volumes_are_left_out(tmp_path):
    layouts.nifti(tmp_path / "p1" / "p1_t1.nii.gz", layouts.patient(1))
    layouts.nifti(tmp_path / "p1" / "p1_seg.nii.gz", np.uint8(layouts.patient(1) > 0.5))
    alone = own(tmp_path)
    assert any(note.startswith("1 masks by their names") for note in alone.notes)
    assert len(own(tmp_path, masks=True)) > len(alone)


# 2. Fingerprints


def test_a_fingerprint_is_of_what_could_be_decoded(tmp_path, plane):
    picture = Image.fromarray(np.uint8(plane / 4))
    picture.save(tmp_path / "a.png")
    alone = own(tmp_path).fingerprint
    picture.rotate(90).save(tmp_path / "b.png")
    both, whole = own(tmp_path).fingerprint, (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[: len(whole) // 2])
    assert own(tmp_path).fingerprint == alone != both  # what cannot be read is not in it
    (tmp_path / "b.png").write_bytes(whole)
    assert own(tmp_path).fingerprint == both  # a repaired file is


def test_a_fingerprint_knows_no_names_no_compression_no_size(tmp_path, plane):
    picture = Image.fromarray(np.uint8(plane / 4))
    for place, how in (("one", dict(compress_level=1)), ("two", dict(compress_level=9))):
        (tmp_path / place).mkdir()
        picture.save(tmp_path / place / f"{place}.png", **how)
    one = own(tmp_path / "one")
    assert one.fingerprint == own(tmp_path / "two").fingerprint
    assert one.fingerprint == own(tmp_path / "one", size=32).fingerprint
    assert one.fingerprint == own(tmp_path / "one", channels=3).fingerprint


def test_another_decoder_is_another_state_of_the_folder(tmp_path, plane, monkeypatch):
    Image.fromarray(np.uint8(plane / 4)).save(tmp_path / "a.png")
    before = loading._state(datasets.find(str(tmp_path)))
    monkeypatch.setitem(loading.DECODERS, "json", "no-such-package")  # as if it were new
    assert loading._state(datasets.find(str(tmp_path))) != before


# 3. DICOM as pydicom reads it


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("vr", ["US", "OW"])
def test_lookup_tables_of_any_vr_are_applied(tmp_path, plane, syntax, vr):
    ramp = np.arange(1001) * 65
    dicom(tmp_path / "voi" / "a.dcm", plane, syntax, VOILUTSequence=table(vr, ramp))
    tags = dict(ModalityLUTSequence=table(vr, ramp, modality=True))
    tags |= dict(WindowCenter=32500, WindowWidth=65000)
    dicom(tmp_path / "modality" / "a.dcm", plane, syntax, **tags)
    dicom(tmp_path / "window" / "a.dcm", plane, WindowCenter=500.5, WindowWidth=1001)
    wanted = own(tmp_path / "window").images
    assert apart(own(tmp_path / "voi").images, wanted) < 1
    assert apart(own(tmp_path / "modality").images, wanted) < 1


def test_an_empty_sequence_is_none(tmp_path, plane):
    from pydicom.sequence import Sequence

    window = dict(WindowCenter=300, WindowWidth=600)
    empty = dict(VOILUTSequence=Sequence([]), ModalityLUTSequence=Sequence([]))
    dicom(tmp_path / "empty" / "a.dcm", plane, **window, **empty)
    dicom(tmp_path / "plain" / "a.dcm", plane, **window)
    assert np.array_equal(own(tmp_path / "empty").images, own(tmp_path / "plain").images)


@pytest.mark.parametrize("monochrome", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("kind", "padding"), [("<u2", 65535), ("<i2", -2000), ("<i2", -5)])
def test_padding_is_black_and_decides_no_window(tmp_path, plane, monochrome, kind, padding):
    """So it is in a range, and where it is inverted; air of 0 is not padding here."""
    values = plane.astype(kind)
    if monochrome == "MONOCHROME1":
        values = (1000 - plane).astype(kind)
    padded = values.copy()
    padded[:8], padded[8:10] = padding, padding + (1 if kind == "<i2" else -1)
    tags = dict(PhotometricInterpretation=monochrome)
    dicom(tmp_path / "plain" / "a.dcm", values, **tags)
    limit = int(padded[8, 0])
    dicom(
        tmp_path / "padded" / "a.dcm",
        padded,
        PixelPaddingValue=padding,
        PixelPaddingRangeLimit=limit,
        **tags,
    )
    image, plain = own(tmp_path / "padded").images[0, 0], own(tmp_path / "plain").images[0, 0]
    assert image[:9].max() == 0
    assert apart(image[14:], plain[14:]) < 8


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("name", ["a.dcm", "IM000001", "1.2.840.1"])
def test_files_without_preamble_are_read(tmp_path, plane, syntax, name):
    dicom(tmp_path / "old" / name, plane, syntax, preamble=False)
    dicom(tmp_path / "new" / "a.dcm", plane)
    assert np.array_equal(own(tmp_path / "old").images, own(tmp_path / "new").images)


def test_a_text_without_suffix_is_a_file_of_another_kind(tmp_path, plane):
    dicom(tmp_path / "a.dcm", plane)
    (tmp_path / "LICENSE").write_text("no picture at all, but a text")
    (tmp_path / "b.dcm").write_text("no picture at all, but a text")
    d = own(tmp_path)
    assert "1 files of other kinds, not looked at" in d.notes
    assert d.left_out == (
        "b.dcm: no DICOM file, whatever its name says; delete it or copy it again",
    )


def test_colours_are_those_of_a_png(tmp_path):
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[:, :32, 0], colours[:, 32:, 1], colours[:32, :, 2] = 200, 200, 90
    dicom(tmp_path / "d" / "a.dcm", colours)
    (tmp_path / "p").mkdir()
    Image.fromarray(colours).save(tmp_path / "p" / "a.png")
    for channels in (1, 3):
        read, wanted = (own(tmp_path / k, channels=channels).images for k in "dp")
        assert read.shape == wanted.shape and apart(read, wanted) < 1


def test_float_pixels_are_read(tmp_path, plane):
    import pydicom

    dicom(tmp_path / "plain" / "a.dcm", plane)
    ds = pydicom.dcmread(tmp_path / "plain" / "a.dcm")
    del ds.PixelData, ds.BitsStored, ds.HighBit, ds.PixelRepresentation
    ds.BitsAllocated, ds.FloatPixelData = 32, (plane.astype("<f4") / 7 - 3).tobytes()
    (tmp_path / "float").mkdir()
    ds.save_as(tmp_path / "float" / "a.dcm")
    assert apart(own(tmp_path / "float").images, own(tmp_path / "plain").images) < 1


def test_a_spacing_of_one_value_is_square(tmp_path, plane):
    dicom(tmp_path / "a" / "a.dcm", plane, PixelSpacing=[2.0])
    dicom(tmp_path / "b" / "b.dcm", plane)
    assert np.array_equal(own(tmp_path / "a").images, own(tmp_path / "b").images)


@pytest.mark.parametrize(
    "tags",
    [
        dict(WindowCenter=5000, WindowWidth=100),
        dict(WindowCenter=-5000, WindowWidth=100),
        dict(RescaleSlope=0, RescaleIntercept=0, WindowCenter=-400, WindowWidth=1200),
        dict(RescaleSlope=0, RescaleIntercept=7),
    ],
)
def test_a_window_that_shows_nothing_gives_way_to_percentiles(tmp_path, plane, tags):
    dicom(tmp_path / "a" / "a.dcm", plane, **tags)
    dicom(tmp_path / "b" / "b.dcm", plane)
    d = own(tmp_path / "a")
    assert np.array_equal(d.images, own(tmp_path / "b").images)
    assert any("percentiles were used" in n or "stored values were used" in n for n in d.notes)


@pytest.mark.parametrize(
    ("tags", "whole"),
    [
        (dict(RescaleSlope="0.5"), dict(RescaleSlope=0.5, RescaleIntercept=0)),
        (dict(RescaleIntercept=-200), dict(RescaleSlope=1, RescaleIntercept=-200)),
    ],
)
def test_a_missing_slope_is_one_and_a_missing_intercept_zero(tmp_path, plane, tags, whole):
    window = dict(WindowCenter=200, WindowWidth=400)
    dicom(tmp_path / "part" / "a.dcm", plane, **window, **tags)
    dicom(tmp_path / "whole" / "a.dcm", plane, **window, **whole)
    dicom(tmp_path / "none" / "a.dcm", plane, **window)
    part, both, none = (own(tmp_path / k).images for k in ("part", "whole", "none"))
    assert np.array_equal(part, both) and apart(part, none) > 3


def test_one_frame_is_in_memory_at_a_time(tmp_path, plane, monkeypatch):
    import pydicom.pixels

    seen = []
    frames = np.stack([np.roll(plane, 3 * k, axis=1) for k in range(5)])
    dicom(tmp_path / "a.dcm", frames)
    monkeypatch.setattr(pydicom.pixels, "pixel_array", None)  # which would hold all of them
    real = pydicom.pixels.iter_pixels
    monkeypatch.setattr(
        pydicom.pixels, "iter_pixels", lambda ds: (seen.append(f.shape) or f for f in real(ds))
    )
    assert len(own(tmp_path)) == 5 and seen == [plane.shape] * 5


# 4. Pictures that show nothing


def test_pictures_that_show_nothing_are_dropped_and_counted(tmp_path, plane):
    rng = np.random.default_rng(0)
    nearly = np.uint8(100 + rng.integers(0, 3, (64, 64)))
    pictures = {
        "black": np.zeros((64, 64), np.uint8),
        "white": np.full((64, 64, 3), 255, np.uint8),
        "nearly": nearly,
        "deep": np.full((64, 64), 4000, np.uint16),
        "good": np.uint8(plane / 4),
    }
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    d = own(tmp_path)
    assert len(d) == 1 and "4 constant or nearly constant pictures, dropped" in d.notes
    (tmp_path / "good.png").unlink()
    with pytest.raises(datasets.DataError, match="no image to use in .*4 constant or nearly"):
        datasets.load(str(tmp_path))


def test_a_hot_pixel_or_a_marker_does_not_make_a_picture_black(tmp_path, plane):
    deep = {"good": plane * 4, "hot": plane * 4, "marker": plane * 4}
    deep["hot"][3, 3] = 65535
    deep["marker"][2:6, 2:6] = 65535
    for name, pixels in deep.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    good, hot, marker = own(tmp_path).images
    assert apart(good[:, 10:], hot[:, 10:]) < 2 and apart(good[:, 10:], marker[:, 10:]) < 2


# 5. Groups


def noise(folder, names, seed=0):
    """Save a picture that is like no other under each name."""
    rng = np.random.default_rng(seed)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8))
        small.resize((64, 64)).save(folder / name)


def scan(path, number, **tags):
    """Write a DICOM file whose picture is like no other."""
    small = Image.fromarray(np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8))
    dicom(path, np.uint16(small.resize((64, 64))) * 4, **tags)


def partition(groups):
    """Return which images are together, whatever the groups are called."""
    return {tuple(np.flatnonzero(groups == group).tolist()) for group in set(groups.tolist())}


THREES = {(0, 1, 2), (3, 4, 5), (6, 7, 8)}


@pytest.mark.parametrize("patient", ["", "ANON"])
@pytest.mark.parametrize("uid", ["StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"])
@pytest.mark.parametrize("name", ["IM{:04}", "1.2.840.{}"])
def test_slices_of_one_study_stay_together_where_no_patient_is_named(tmp_path, patient, uid, name):
    for i in range(9):
        scan(tmp_path / name.format(i), i, PatientID=patient, **{uid: f"1.2.3.{i // 3}"})
    d = own(tmp_path)
    assert partition(d.groups) == THREES and noted(d, "3 studies or series")
    assert not noted(d, "folders")


def test_dicom_files_that_say_nothing_are_groups_of_their_own_and_counted(tmp_path):
    for i in range(4):
        scan(tmp_path / f"1.2.840.{i}", i, PatientID="")
    d = own(tmp_path)
    assert len(set(d.groups.tolist())) == 4 and noted(d, "4 DICOM files that say neither")


def test_a_folder_and_a_study_are_of_one_patient_where_none_is_named(tmp_path):
    """The first folder holds two studies, the second study goes on in the second folder."""
    for i, (place, study) in enumerate([("a", 1), ("a", 2), ("b", 2), ("c", 3), ("c", 3)]):
        scan(tmp_path / place / f"{i}", i, PatientID="", StudyInstanceUID=f"1.2.3.{study}")
    assert partition(own(tmp_path).groups) == {(0, 1, 2), (3, 4)}


def test_files_of_other_kinds_beside_a_patients_dicom_files_are_that_patients(tmp_path):
    for i in range(9):
        folder = tmp_path / f"case{i // 3}"
        if i % 3:
            scan(folder / f"{i}", i, PatientID=f"id{i // 3}")
        else:
            noise(folder, [f"{i}.png"], seed=i)
    assert partition(own(tmp_path).groups) == THREES


@pytest.mark.parametrize("place", ["case{}", "."])
def test_a_series_with_patientid_in_some_files_is_one_patients(tmp_path, place):
    for i in range(9):
        tags = dict(PatientID=f"id{i // 3}" if i % 3 else "", StudyInstanceUID=f"1.2.3.{i // 3}")
        scan(tmp_path / place.format(i // 3) / f"{i}", i, **tags)
    d = own(tmp_path)
    assert partition(d.groups) == THREES and not noted(d, "taken for patients")


def test_one_patient_spelled_in_several_ways_in_a_study_is_one_and_that_is_said(tmp_path):
    for i in range(20):
        spelled = ("ab{}", "AB{}", "0AB{}")[i % 3].format(i // 5)
        scan(tmp_path / f"{i:02}", i, PatientID=spelled, StudyInstanceUID=f"1.2.3.{i // 5}")
    d = own(tmp_path)
    assert partition(d.groups) == {tuple(range(k, k + 5)) for k in (0, 5, 10, 15)}
    assert noted(d, "4 studies", "one patient")


def test_in_classes_a_file_without_patientid_goes_with_its_study_and_not_with_the_class(tmp_path):
    for i in range(80):
        who = i // 4
        tags = dict(PatientID=f"id{who}" if i % 4 else "", StudyInstanceUID=f"1.2.3.{who}")
        scan(tmp_path / f"class{who // 10}" / f"{i:02}", i, **tags)
    d = own(tmp_path)
    assert partition(d.groups) == {tuple(range(k, k + 4)) for k in range(0, 80, 4)}


def test_one_study_of_many_patients_says_nothing_beside_studies_of_one(tmp_path):
    for i in range(16):
        study = "1.2.9" if i < 8 else f"1.2.3.{i // 2}"
        scan(tmp_path / f"{i:02}", i, PatientID=f"id{i // 2}", StudyInstanceUID=study)
    assert partition(own(tmp_path).groups) == {(k, k + 1) for k in range(0, 16, 2)}


def test_dicom_beside_volumes_is_noted_for_they_may_mirror_each_other(tmp_path, plane):
    dicom(tmp_path / "case1" / "1", plane)
    layouts.nifti(tmp_path / "case2" / "t1.nii.gz", layouts.patient(2))
    assert noted(own(tmp_path), "1 DICOM files beside volumes", "mirror")


def test_a_file_in_place_of_a_folder_and_a_name_of_two_lines_are_said_clearly(tmp_path):
    noise(tmp_path, ["one.png", "two.png"])
    (tmp_path / "no\npicture.png").write_bytes(b"")
    with pytest.raises(datasets.DataError, match="is a file"):
        own(tmp_path / "one.png")
    (line,) = own(tmp_path).left_out
    assert "\n" not in line


def test_one_study_of_all_patients_joins_nobody(tmp_path):
    for i in range(9):
        scan(tmp_path / f"{i}", i, PatientID=f"id{i // 3}", StudyInstanceUID="1.2.3")
    assert partition(own(tmp_path).groups) == THREES


def test_one_study_in_all_folders_joins_nobody(tmp_path):
    for i in range(9):
        tags = dict(PatientID="ANON", StudyInstanceUID="1.2.3")
        scan(tmp_path / f"p{i // 3}" / f"{i}", i, **tags)
    assert partition(own(tmp_path).groups) == THREES


def test_a_patient_with_a_new_number_in_each_study_is_one_patient(tmp_path):
    for i in range(24):
        scan(tmp_path / f"p{i // 4}" / f"{i:02}", i, PatientID=f"id{i // 2}")
    d = own(tmp_path)
    assert len(set(d.groups.tolist())) == 6 and noted(d, "6 folders", "one patient")


@pytest.mark.parametrize(("places", "each"), [(2, 12), (12, 5)])
def test_folders_of_classes_or_hospitals_join_no_patients(tmp_path, places, each):
    for i in range(places * each):
        scan(tmp_path / f"site{i // each:02}" / f"{i:02}", i, PatientID=f"id{i}")
    d = own(tmp_path)
    assert len(set(d.groups.tolist())) == places * each
    assert noted(d, f"{places} folders", "--patient")


def test_a_class_is_not_a_patient_and_that_is_said(tmp_path):
    places = [f"{s}/{c}" for s in ("train", "test") for c in ("NORMAL", "PNEUMONIA")]
    noise(tmp_path, [f"{place}/{i}.png" for place in places for i in range(10)])
    d = own(tmp_path)
    assert any(note.startswith("2 groups, the largest of 20 images") for note in d.notes)
    with pytest.warns(UserWarning, match="asks for 4 images and 20 of 40 are held out"):
        d.split(0.1)


def test_a_share_that_is_met_is_not_spoken_of(tmp_path):
    noise(tmp_path, [f"{patient}/{i}.png" for patient in range(20) for i in range(2)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = datasets.load(str(tmp_path))
        assert len(d.split(0.1)[1]) == 4
    assert d.notes == ()


def test_a_pattern_finds_the_patient(tmp_path):
    names = [f"SC-HF-I-{p:02}-IM-{i:04}-{7 * i + p:04}.png" for p in range(1, 5) for i in range(3)]
    noise(tmp_path, names)
    without = own(tmp_path)
    assert len(set(without.groups.tolist())) == 12
    assert any(note.startswith("4 groups if names carry the patient") for note in without.notes)
    d = own(tmp_path, patient=r"^\D*\d+")
    assert d.groups.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert d.fingerprint != without.fingerprint
    inner = own(tmp_path, patient=r"HF-I-(\d+)-")
    assert inner.groups.tolist() == d.groups.tolist() and inner.fingerprint == d.fingerprint


def test_one_number_in_each_name_may_be_the_patient(tmp_path):
    kinds = ("flair", "t1", "t2", "dwi")
    noise(tmp_path, [f"case{p:02}_{kind}.png" for p in range(3) for kind in kinds])
    assert noted(own(tmp_path), "3 groups if names carry the patient")


@pytest.mark.parametrize("names", [["slice{}.png"], ["a{}.png", "x.png"], ["a{}_1.png"]])
def test_numbered_files_are_not_taken_for_patients(tmp_path, names):
    noise(tmp_path, {name.format(i) for name in names for i in range(8)})
    assert not noted(own(tmp_path), "names carry the patient")


@pytest.mark.parametrize(
    ("pattern", "said"), [("(", "no regular expression"), ("x", "matches not")]
)
def test_a_pattern_that_cannot_be_right_is_refused(tmp_path, pattern, said):
    noise(tmp_path, ["a1.png", "a2.png"])
    with pytest.raises(datasets.DataError, match=said):
        datasets.load(str(tmp_path), patient=pattern)


def test_near_duplicates_in_blocks_are_those_of_all_pairs(monkeypatch):
    rng = np.random.default_rng(0)
    small = np.repeat(rng.standard_normal((40, 1024)), 3, axis=0)
    small += rng.uniform(0, 0.4, (120, 1)) * rng.standard_normal((120, 1024))
    small = np.float32(small - small.mean(1, keepdims=True))
    small /= np.linalg.norm(small, axis=1, keepdims=True)
    monkeypatch.setattr(_duplicates, "BLOCK", 7)
    for alike in (_duplicates.ALIKE, _duplicates.COPIES):
        wanted = {tuple(p) for p in np.argwhere(small @ small.T >= alike) if p[0] != p[1]}
        found = set()
        for a, b in _duplicates._pairs(small, alike):
            found |= {(int(i), int(k)) for i, k in zip(a, b, strict=True) if i != k}
        assert found == wanted and found


def test_pictures_that_are_all_alike_are_given_up_after_a_block(monkeypatch):
    rng = np.random.default_rng(0)
    small = rng.standard_normal(1024) + 0.1 * rng.standard_normal((2000, 1024))
    small = np.float32(small / np.linalg.norm(small, axis=1, keepdims=True))
    blocks = []
    real = _duplicates._pairs
    monkeypatch.setattr(
        _duplicates, "_pairs", lambda *a: (blocks.append(a[1]) or pair for pair in real(*a))
    )
    joined, images, chained = _duplicates.merge(small, np.arange(2000), patients=False)
    assert blocks.count(_duplicates.ALIKE) == 1 and chained
    assert len(set(joined.tolist())) == 2000 and images == 0


# 6. NIfTI


@pytest.mark.parametrize("name", ["a.NII", "a.Nii.Gz", "a.NII.GZ", "a.nii.GZ"])
def test_any_spelling_of_the_suffix_is_read(tmp_path, name):
    layouts.nifti(tmp_path / "plain" / "a.nii", layouts.patient(1))
    raw = (tmp_path / "plain" / "a.nii").read_bytes()
    (tmp_path / "other").mkdir()
    packed = gzip.compress(raw) if name.lower().endswith("gz") else raw
    (tmp_path / "other" / name).write_bytes(packed)
    assert np.array_equal(own(tmp_path / "other").images, own(tmp_path / "plain").images)


def test_of_complex_voxels_the_magnitude_is_used(tmp_path):
    volume = layouts.patient(1)
    phase = np.exp(1j * np.linspace(0, 3, volume.shape[0]))[:, None, None]
    layouts.nifti(tmp_path / "complex" / "a.nii", np.complex64(volume * phase))
    layouts.nifti(tmp_path / "real" / "a.nii", volume)
    d = own(tmp_path / "complex")
    assert apart(d.images, own(tmp_path / "real").images) < 1
    assert "1 complex volumes, of which the magnitude is used" in d.notes


def patched_pixdim(path, *sizes):
    with path.open("r+b") as file:
        file.seek(80)
        file.write(struct.pack("<3f", *sizes))


@pytest.mark.parametrize("pixdim", [(1, 1, 1), (2, 2, 2)])
def test_a_valid_affine_counts_where_pixdim_disagrees(tmp_path, pixdim):
    volume = layouts.patient(1)[8:56:6]
    layouts.nifti(tmp_path / "right" / "a.nii", volume, (18, 3, 3))
    layouts.nifti(tmp_path / "wrong" / "a.nii", volume, (18, 3, 3))
    patched_pixdim(tmp_path / "wrong" / "a.nii", *pixdim)
    d = own(tmp_path / "wrong")
    assert np.array_equal(d.images, own(tmp_path / "right").images)
    assert any("header and affine disagree" in note for note in d.notes)


def test_an_affine_of_ones_is_not_believed(tmp_path):
    layouts.nifti(tmp_path / "a.nii", layouts.patient(1)[:, :, 5:55:10], affine=np.eye(4))
    patched_pixdim(tmp_path / "a.nii", 3, 3, 30)
    assert len(own(tmp_path)) == 5  # cut across the thick axis


# 9. Texts


def test_what_is_said_names_file_and_remedy(tmp_path, plane, capfd):
    tifffile = pytest.importorskip("tifffile")
    layouts.nifti(tmp_path / "ok.nii", layouts.patient(1))
    raw = (tmp_path / "ok.nii").read_bytes()
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.png").write_text("<!DOCTYPE html>404")
    tifffile.imwrite(tmp_path / "f16.tif", plane.astype(np.float16))
    (tmp_path / "plain.nii.gz").write_bytes(raw)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(raw))
    layouts.nifti(tmp_path / "none.nii", np.zeros((0, 5, 5), np.int16))
    (tmp_path / "pixdim0.nii").write_bytes(raw)
    patched_pixdim(tmp_path / "pixdim0.nii", 0, 0, 0)
    said = dict(line.split(": ", 1) for line in own(tmp_path).left_out)
    assert said.keys() == {
        "empty.png", "page.png", "f16.tif", "plain.nii.gz", "packed.nii", "none.nii"
    }  # fmt: skip
    assert said["empty.png"] == "an empty file; copy it again"
    assert "save it as PNG" in said["page.png"] and "32-bit floats" in said["f16.tif"]
    assert said["plain.nii.gz"].endswith("let the name end in .nii")
    assert said["packed.nii"].endswith("let the name end in .nii.gz")
    assert "without any voxel" in said["none.nii"]
    assert "pixdim" not in capfd.readouterr().err
    for reason in said.values():
        assert "\n" not in reason and "cannot identify" not in reason


def test_a_number_in_a_reason_is_not_taken_for_a_files_name(tmp_path, plane):
    dicom(tmp_path / "1", plane, PixelSpacing=[1.0, 25.0])
    dicom(tmp_path / "x" / "a.dcm", plane, PixelSpacing=[1.0, 25.0])
    dicom(tmp_path / "b.dcm", plane)
    one, other = (line.partition(": ")[2] for line in own(tmp_path).left_out)
    assert one == other and "25" in one


@pytest.mark.parametrize(
    "folder", ["/home/secretäry/scans", "C:\\secret\\ü", "/home/a\"secret'b/x"]
)
def test_an_executed_notebook_names_no_folder(tmp_path, folder):
    """Not in papermill's parameters, nor where the code printed or raised it in any spelling."""
    import html

    import nbformat
    from papermill.translators import PythonTranslator

    shown = [folder, repr(folder), html.escape(folder), json.dumps(folder)]
    outputs = [nbformat.v4.new_output("stream", text=text) for text in shown]
    outputs += [nbformat.v4.new_output("error", ename="E", evalue=folder, traceback=[repr(folder)])]
    outputs += [nbformat.v4.new_output("display_data", data={"application/json": {"a": [folder]}})]
    source = PythonTranslator.codify(dict(dataset=folder, seed=3))
    tags = dict(tags=["injected-parameters"])
    cell = nbformat.v4.new_code_cell(source, metadata=tags, outputs=outputs)
    whole = nbformat.v4.new_notebook(cells=[cell])
    path = tmp_path / "a.ipynb"
    nbformat.write(whole, path)
    assert "secret" in path.read_text()
    notebooks._forget_path(path, folder)
    text = path.read_text()
    assert "secret" not in text and "seed = 3" in text
    nbformat.validate(nbformat.read(path, 4))


@pytest.mark.parametrize("folder", ["/", "/png", "/data", "cell", "data", "e", "code"])
def test_a_folder_of_a_short_name_damages_no_notebook(tmp_path, folder):
    import nbformat

    data = {"image/png": "data/png", "text/plain": f"{folder}/x in /hagan/datasets"}
    shown = [nbformat.v4.new_output("display_data", data=data)]
    whole = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=shown)])
    path = tmp_path / "a.ipynb"
    nbformat.write(whole, path)
    notebooks._forget_path(path, folder)
    (output,) = nbformat.read(path, 4).cells[0].outputs
    assert output.data.keys() == data.keys() and output.data["image/png"] == "data/png"
    assert "datasets" in output.data["text/plain"]


def test_an_empty_name_is_refused():
    for name in ("", " "):
        with pytest.raises(ValueError, match="empty data set"):
            located(name)
        with pytest.raises(datasets.DataError, match="an empty name"):
            datasets.load(name)


def test_a_run_of_ones_own_folder_asks_for_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    e = Experiment.from_dict(Experiment.make(dataset=str(tmp_path), preset="smoke").to_dict())
    with pytest.raises(datasets.DataError, match="kept nowhere: give it by --dataset PATH"):
        datasets.load_for(e)


def test_patient_and_masks_are_in_an_experiment_only_where_they_are_set(tmp_path):
    plain = Experiment.make(dataset=str(tmp_path))
    assert not {"patient", "masks"} & plain.to_dict().keys()
    e = Experiment.make(dataset=str(tmp_path), patient="(p.)", masks=True)
    assert Experiment.from_dict(e.to_dict()).hash == e.hash != plain.hash
    assert e.changes == dict(patient="(p.)", masks=True)
    with pytest.raises(datasets.DataError, match="for a folder of your own"):
        datasets.load_for(Experiment.make(dataset="mni152", masks=True))


def test_an_experiments_folder_is_read_as_it_says(tmp_path):
    noise(tmp_path, [f"p{p}-{i}.png" for p in range(3) for i in range(2)] + ["p0-1_mask.png"])
    d = datasets.load_for(Experiment.make(dataset=str(tmp_path), patient=r"p\d", masks=True))
    assert len(d) == 7 and len(set(d.groups.tolist())) == 3


def test_other_images_under_one_name_are_refused(tmp_path):
    """As many as were trained on count, too; a record of others is not written over."""
    record = dict.fromkeys(runs.NEEDED, "x") | dict(hash="h", data=dict(fingerprint="f", n=5))
    runs.save_record(record, "a", tmp_path)
    runs.save_record(record | dict(minutes=3), "a", tmp_path)
    for data in (dict(fingerprint="f", n=8), dict(fingerprint="g", n=5)):
        with pytest.raises(ValueError, match="of other images"):
            runs.save_record(record | dict(data=data), "a", tmp_path)
    (tmp_path / "experiment.json").write_text('{"data": {"fingerprint": "f", "n": 5}}')
    images = np.zeros((8, 1, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="5 of f, and here are 8 of f"):
        runs.check_data(tmp_path, datasets.Dataset("folder", images, np.arange(8), "f"))


def test_a_missing_decoder_is_named_with_what_brings_it(tmp_path):
    reason = reading.in_words(
        tmp_path,
        RuntimeError(
            "Unable to decompress 'JPEG-LS' pixel data because all plugins are missing "
            "dependencies:\n\tgdcm - requires python-gdcm"
        ),
    )
    assert reason == (
        "Unable to decompress 'JPEG-LS' pixel data: pip install 'hagan-lite[dicom]' brings "
        "the decoder"
    )


@pytest.mark.parametrize(
    ("correlation", "patients", "joined"),
    [(0.96, False, False), (0.98, False, True), (0.98, True, False), (0.997, True, True)],
)
def test_pictures_are_joined_from_a_correlation_on_and_patients_by_copies_alone(
    correlation, patients, joined
):
    small = np.eye(6, 1024, dtype=np.float32)  # of length 1, and nothing alike
    small[1, :2] = correlation, np.sqrt(1 - correlation**2)
    groups, alike, _ = _duplicates.merge(small, np.arange(6), patients)
    assert (groups[0] == groups[1]) == joined and alike == 2 * joined
    assert len(np.unique(groups)) == 6 - joined


@pytest.mark.parametrize(
    ("function", "levels"),
    [
        ("LINEAR", [0.5 / 120, 60.5 / 120, 1]),
        ("LINEAR_EXACT", [0.5 / 121, 0.5, 120.5 / 121]),
        ("SIGMOID", [1 / (1 + np.exp(240 / 121)), 0.5, 1 / (1 + np.exp(-240 / 121))]),
    ],
)
def test_each_function_of_a_window_is_the_standards(function, levels):
    """DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3, at 60 below the centre, at it, and 60 above it."""
    of = dict(WindowCenter=100, WindowWidth=121, VOILUTFunction=function)
    shown = _dicom._by_window(np.float32([40, 100, 160]), of)
    assert shown == pytest.approx(levels, abs=1e-6)
