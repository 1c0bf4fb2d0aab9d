"""Random damage of good files in each format: no traceback, no hang, no image that is not there.

hypothesis chooses what to damage; 300 examples take some seconds, offline.
"""

import contextlib
import functools
import io
import warnings
from collections import Counter

import layouts
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from hagan_lite import datasets
from hagan_lite.datasets import reading
from hagan_lite.datasets.sources import Listing, Source

hypothesis = pytest.importorskip("hypothesis")
pytest.importorskip("pydicom")
from hypothesis import strategies as some  # noqa: E402

EXAMPLES = 50
"""Of each of six formats."""


@functools.cache
def good(suffix):
    """Return the bytes of a good file: a slice of real anatomy, or three of them."""
    plane = np.uint8(np.rot90(layouts.patient(1)[:, :, 30])[6:72] * 180)
    if suffix in ("png", "jpg", "tif"):
        kind = {"png": "png", "jpg": "jpeg", "tif": "tiff"}[suffix]
        Image.fromarray(plane).save(file := io.BytesIO(), kind)
        return file.getvalue()
    if suffix == "dcm":
        return dicom(plane)
    volume = nib.Nifti1Image(
        np.int16(layouts.patient(1)[:, :, 28:31] * 1000), np.diag([3, 3, 30, 1])
    )
    data = volume.to_bytes()
    if suffix == "nii":
        return data
    import gzip

    return gzip.compress(data, mtime=0)


def dicom(plane):
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = "1.2.3"
    ds.Modality, ds.PatientID, ds.PixelSpacing = "CT", "somebody", [1, 1]
    ds.Rows, ds.Columns = plane.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.WindowCenter, ds.WindowWidth = 100, 200
    ds.PixelData = plane.tobytes()
    ds.save_as(file := io.BytesIO(), enforce_file_format=True)
    return file.getvalue()


@some.composite
def damaged(draw, suffix):
    """Draw a damaged copy: cut, some bytes flipped, or numbers of the header changed."""
    data = bytearray(good(suffix))
    how = draw(some.sampled_from(("cut", "flip", "header", "zeros")))
    if how == "cut":
        return how, bytes(data[: draw(some.integers(0, len(data) - 1))])
    if how == "zeros":
        start = draw(some.integers(0, len(data) - 1))
        data[start : start + 64] = bytes(len(data[start : start + 64]))
        return how, bytes(data)
    end = min(len(data), 400) if how == "header" else len(data)
    for _ in range(draw(some.integers(1, 8))):
        data[draw(some.integers(0, end - 1))] = draw(some.integers(0, 255))
    return how, bytes(data)


def read(folder, name, data):
    """Return the images and the reasons of a folder with this one file."""
    (folder / name).write_bytes(data)
    images = []
    listing = Listing(folder, [Source(folder / name, "one")], [])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        about = reading.read_files(listing, 32, 1, images.append)
    return images, about


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "dcm", "nii", "nii.gz"])
def test_damage_is_a_reason_on_one_line_or_a_picture(tmp_path, suffix):
    """No damaged file gives an image that the good one does not, where that can be known.

    A cut file lacks pixels, and PNG and gzip carry checksums; of the others a flipped byte may be a
    pixel.
    """
    whole, _ = read(tmp_path, f"good.{suffix}", good(suffix))
    outcomes = Counter()

    @hypothesis.settings(
        max_examples=EXAMPLES, deadline=5000, derandomize=True, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(damaged(suffix))
    def look(case):
        how, data = case
        images, about = read(tmp_path, f"a.{suffix}", data)
        outcomes["used" if images else "left out"] += 1
        for _, reason in about.failed:
            assert reason and "\n" not in reason and "Traceback" not in reason
        assert len(images) == len(about.groups)
        assert all(i.shape == (1, 32, 32) and i.dtype == np.uint8 for i in images)
        if how == "cut" or suffix in ("png", "nii.gz"):
            assert len(images) <= len(whole)
            assert all(any(np.array_equal(i, w) for w in whole) for i in images)

    look()
    assert outcomes["left out"]


def test_a_folder_of_damaged_files_is_one_clear_error(tmp_path):
    for suffix in ("png", "jpg", "tif", "dcm", "nii", "nii.gz"):
        (tmp_path / f"a.{suffix}").write_bytes(good(suffix)[: len(good(suffix)) // 3])
    with (
        contextlib.suppress(UserWarning),
        pytest.raises(datasets.DataError, match="no image to use"),
    ):
        datasets.load(str(tmp_path))
