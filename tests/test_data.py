import errno
import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import forked
import numpy as np
import pytest
import tifffile
from helpers import noted
from PIL import Image

from hagan_lite import datasets
from hagan_lite.config import DATASETS
from hagan_lite.datasets import cache, pixels, reading


@pytest.fixture
def brain():
    """A real slice, 40 x 64 pixels, uint8."""
    return datasets.load("mni152").images[60, 0, :40]


def save(folder, name, array, mode=None):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).convert(mode).save(folder / name) if mode else Image.fromarray(
        array
    ).save(folder / name)


def test_the_embedded_data_set_is_axial_brains():
    d = datasets.load("mni152", 64)
    assert d.images.shape[1:] == (1, 64, 64)
    assert d.images.dtype == np.uint8
    assert 105 <= len(d) <= 125
    assert (d.images[:, 0, 0] == 0).all()  # a margin of background above
    middle = d.images[len(d) // 2, 0].astype(int)
    assert np.abs(middle - middle[:, ::-1]).mean() < 15  # left and right mirror each other


def test_grey_and_white_matter_are_told_apart():
    values = datasets.load("mni152").images[40:80]
    counts, edges = np.histogram(values[values > 20], bins=40, range=(20, 255))
    assert ((values > 110) & (values < 170)).sum() > 0.15 * (values > 20).sum()  # grey matter
    assert (values > 190).sum() > 0.25 * (values > 20).sum()  # white matter


def test_a_folder_is_read_at_any_size(tmp_path, brain):
    save(tmp_path / "sizes", "a.png", brain)
    for size in (20, 48, 100, 512):
        assert datasets.load(str(tmp_path / "sizes"), size).images.shape == (1, 1, size, size)


def test_all_three_axes_by_option():
    assert 340 <= len(datasets.load("mni152-all")) <= 400


@pytest.mark.parametrize(("size", "channels"), [(64, 3), (256, 1)])
def test_other_sizes_and_channels(size, channels):
    assert datasets.load("mni152", size, channels).images.shape[1:] == (channels, size, size)


@pytest.mark.parametrize("name", ["mni152", "mni152-all"])
def test_no_group_is_on_both_sides_of_the_split(name):
    d = datasets.load(name)
    train, heldout = d.split(0.1)
    assert len(train) + len(heldout) == len(d)
    assert 0.05 * len(d) < len(heldout) < 0.25 * len(d)
    assert not set(d.groups[train]) & set(d.groups[heldout])
    assert len(d.split(0.0)[1]) == 0


def test_the_brains_held_out_slices_are_contiguous_blocks():
    _, heldout = datasets.load("mni152").split(0.1)
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
    d = datasets.load(str(tmp_path / "modes"))
    assert len(d) == 8
    assert d.name == "folder"
    low, high = pixels.window_of(grey)  # 16-bit and float images are windowed as volumes are
    windowed = ((d.images[0].astype(float) - low) / (high - low) * 255).clip(0, 255)
    for i, image in enumerate(d.images.astype(float)):
        wanted = windowed if i in (5, 6) else d.images[0]
        assert np.abs(image - wanted).mean() < 3, i


def test_alpha_is_composited_on_black(tmp_path, brain):
    half = np.dstack([np.full_like(brain, 200)] * 3 + [np.full_like(brain, 0)])
    half[:, :9, 3] = 255
    save(tmp_path / "alpha", "a.png", half)
    image = datasets.load(str(tmp_path / "alpha")).images[0, 0]
    assert (image[:, :4] == 200).all() and image[:, 16:].max() == 0


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
        d = datasets.load(str(folder))
    assert len(d) == 1
    for name in ("text.png", "empty.jpg", "truncated.png", "nan.tif"):
        assert name in str(caught[0].message)


@pytest.mark.parametrize("content", [None, "only.txt", "only-broken.png"])
def test_nothing_usable_is_one_clear_error(tmp_path, content):
    if content:
        (tmp_path / content).write_text("nothing")
    with pytest.raises(datasets.DataError, match="mni152") as error:
        datasets.load(str(tmp_path))
    assert str(tmp_path) in str(error.value)


def test_a_missing_data_set_names_folder_source_and_alternative(tmp_path, monkeypatch):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    with pytest.raises(datasets.DataError, match="CT_NonCOVID") as error:
        datasets.load("covid-ct")
    assert (
        "2003.13865" in str(error.value)
        and "mni152" in str(error.value)
        and str(tmp_path) in str(error.value)
    )


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(datasets.DataError, match="covid-ct"):
        datasets.load("no-such-thing")


def test_the_fingerprint_follows_the_content_and_not_the_place(tmp_path, brain):
    for place in ("one", "two"):
        save(tmp_path / place, "a.png", brain)
    save(tmp_path / "three", "a.png", 255 - brain)
    one, two, three = (
        datasets.load(str(tmp_path / p)).fingerprint for p in ("one", "two", "three")
    )
    assert one == two != three
    assert datasets.load("mni152", 64).fingerprint == datasets.load("mni152", 128).fingerprint


def test_a_changed_folder_is_read_again(tmp_path, brain):
    save(tmp_path / "grows", "a.png", brain)
    assert len(datasets.load(str(tmp_path / "grows"))) == 1
    save(tmp_path / "grows", "b.png", brain)
    assert len(datasets.load(str(tmp_path / "grows"))) == 2


def test_a_damaged_cache_is_made_again(tmp_path, brain, monkeypatch):
    monkeypatch.setattr(cache, "BUILD", tmp_path / "build")
    save(tmp_path / "cached", "a.png", brain)
    first = datasets.load(str(tmp_path / "cached"))
    wanted = first.images.copy()
    for ending, damage in [
        (".npy", lambda b: b[:100]),
        (".npy", lambda b: b[:-9] + b"\7" + b[-8:]),
        (".json", lambda b: b[:20]),
        (".json", lambda b: b"[]"),
        (".json", lambda b: b.replace(b'"groups"', b'"groupz"')),
    ]:
        (path,) = (tmp_path / "build" / "cache").glob(f"*{ending}")
        path.write_bytes(damage(path.read_bytes()))
        again = datasets.load(str(tmp_path / "cached"))
        assert np.array_equal(again.images, wanted) and again.fingerprint == first.fingerprint


def test_the_cache_is_mapped_and_cannot_be_written_by_mistake(tmp_path, brain):
    save(tmp_path / "mapped", "a.png", brain)
    with pytest.raises(ValueError, match="read-only"):
        datasets.load(str(tmp_path / "mapped")).images[0] = 0


def test_a_second_load_opens_no_image(tmp_path, brain, monkeypatch):
    save(tmp_path / "once", "a.png", brain)
    first = datasets.load(str(tmp_path / "once"))
    monkeypatch.setattr(reading, "read_file", None)  # it would raise
    assert np.array_equal(datasets.load(str(tmp_path / "once")).images, first.images)


def test_two_processes_may_build_the_same_cache(tmp_path, brain):
    for i in range(40):
        save(tmp_path / "scans", f"{i}.png", np.roll(brain, 3 * i))
    script = (
        "import sys; from hagan_lite import datasets as d; print(d.load(sys.argv[1]).images.sum())"
    )
    environment = os.environ | {"HAGAN_BUILD": str(tmp_path / "build")}
    printed = [tmp_path / "one.txt", tmp_path / "other.txt"]
    both = []
    for path in printed:
        with path.open("w") as file:
            command = ("-c", script, tmp_path / "scans")
            both.append(forked.start(*command, env=environment, stdout=file))
    assert [process.wait() for process in both] == [0, 0]
    said = {path.read_text() for path in printed}
    assert said == {f"{datasets.load(str(tmp_path / 'scans')).images.sum()}\n"}
    assert sorted(p.suffix for p in (tmp_path / "build" / "cache").iterdir()) == [".json", ".npy"]


def test_an_interrupted_build_leaves_nothing(tmp_path, brain, monkeypatch):
    monkeypatch.setattr(cache, "BUILD", tmp_path / "build")
    for i in range(3):
        save(tmp_path / "scans", f"{i}.png", brain // (i + 1))

    def stopped(path):
        if path.name == "2.png":
            raise KeyboardInterrupt
        return pixels.decode(path)

    monkeypatch.setattr(reading, "decode", stopped)
    with pytest.raises(KeyboardInterrupt):
        datasets.load(str(tmp_path / "scans"))
    assert list((tmp_path / "build" / "cache").iterdir()) == []


def test_the_cache_names_no_file(tmp_path, brain, monkeypatch):
    monkeypatch.setattr(cache, "BUILD", tmp_path / "build")
    save(tmp_path / "smith", "jane.png", brain)
    (tmp_path / "smith" / "john.png").write_text("no picture")
    (tmp_path / "smith" / "john\nsmith.png").write_text(
        "no picture"
    )  # its repr is what Pillow's message has
    with pytest.warns(UserWarning, match="john.png"):
        datasets.load(str(tmp_path / "smith"))
    for file in (tmp_path / "build" / "cache").iterdir():
        assert not [
            name
            for name in (b"smith", b"jane", b"john")
            if name in file.read_bytes() + file.name.encode()
        ]


def test_links_that_lead_in_a_circle_or_nowhere_are_named(tmp_path, brain):
    save(tmp_path / "scans" / "a", "1.png", brain)
    save(tmp_path / "elsewhere", "2.png", brain[::-1])
    (tmp_path / "scans" / "a" / "loop").symlink_to(tmp_path / "scans")
    (tmp_path / "scans" / "b").symlink_to(
        tmp_path / "elsewhere"
    )  # a link to images is as good as the images
    (tmp_path / "scans" / "nowhere.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "scans" / "itself.png").symlink_to(tmp_path / "scans" / "itself.png")
    with pytest.warns(UserWarning, match="left out 3 of 5") as caught:
        assert len(datasets.load(str(tmp_path / "scans"))) == 2
    for name in ("a/loop: a link to a folder that was met before", "nowhere.png: ", "itself.png: "):
        assert name in str(caught[0].message)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.png", "pipe.txt"])
def test_a_named_pipe_is_not_waited_for(tmp_path, brain, name):
    save(tmp_path, "a.png", brain)
    os.mkfifo(tmp_path / name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(datasets.load(str(tmp_path))) == 1


def test_what_macos_leaves_behind_is_no_image(tmp_path, brain):
    save(tmp_path / "mac", "a.png", brain)
    (tmp_path / "mac" / "._a.png").write_text("a resource fork")
    save(tmp_path / "mac" / "__MACOSX", "b.png", brain)
    assert len(datasets.load(str(tmp_path / "mac"))) == 1


def test_unreadable_files_are_left_out(tmp_path, brain, monkeypatch):
    save(tmp_path, "a.png", brain)
    save(tmp_path, "b.png", brain)
    opened = Path.open

    def forbidden(path, *words, **named):
        if path.name == "b.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *words, **named)

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.warns(UserWarning, match="b.png: .*Permission denied"):
        assert len(datasets.load(str(tmp_path))) == 1


def test_near_duplicates_of_two_patients_are_one_group(tmp_path):
    slices = datasets.load("mni152").images[::15, 0]  # far apart: unlike
    for i, image in enumerate(slices):
        save(tmp_path, f"patient{i}.png", image)
    again = Image.fromarray(slices[0]).resize((90, 90))
    again.point(lambda v: v * 0.8 + 10).save(tmp_path / "somebody-else.jpg", quality=70)
    d = datasets.load(str(tmp_path))
    assert len(np.unique(d.groups)) == len(slices)
    assert d.groups[0] == d.groups[-1]
    assert noted(d, "2 images with a near duplicate")


def test_slices_that_are_all_neighbours_do_not_become_one_group(tmp_path):
    """But a copy of one of them is one with it."""
    for i, image in enumerate(datasets.load("mni152").images[30:70:2, 0]):
        save(tmp_path, f"{i:02d}.png", image)
    save(tmp_path, "again.png", datasets.load("mni152").images[40, 0])
    d = datasets.load(str(tmp_path))
    assert len(np.unique(d.groups)) == 20 and d.groups[5] == d.groups[-1]


@pytest.mark.parametrize("mode", ["RGB", "LA"])
def test_sixteen_bits_in_several_channels_are_left_out_not_blackened(tmp_path, brain, mode):
    """Pillow keeps the upper eight bits of such a file: a 12-bit picture would be black."""
    save(tmp_path, "good.png", brain)
    channels = {"RGB": 3, "LA": 2}[mode]
    rows = b"".join(
        b"\0" + row.astype(">u2").repeat(channels).tobytes() for row in brain * np.uint16(16)
    )

    def chunk(kind, body):
        length, checksum = struct.pack(">I", len(body)), struct.pack(">I", zlib.crc32(kind + body))
        return length + kind + body + checksum

    head = struct.pack(">2I5B", 64, 40, 16, {"RGB": 2, "LA": 4}[mode], 0, 0, 0)
    content = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "deep.png").write_bytes(content)
    with pytest.warns(UserWarning, match=r"deep\.png: 16 bits in several channels"):
        assert len(datasets.load(str(tmp_path))) == 1


@pytest.mark.parametrize(
    ("dtype", "how"),
    [
        (np.uint16, dict(photometric="miniswhite")),
        (np.int8, {}),
        (np.int16, {}),
        (np.uint32, {}),
        (np.int32, {}),
        (np.float32, {}),
    ],
)
def test_every_kind_of_grey_tiff_is_the_same_picture(tmp_path, brain, dtype, how):
    info = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else None
    values = brain / 255 * (info.max - info.min) + info.min if info else brain / 7 - 3
    values = (info.max - values if "photometric" in how else values).round(3).astype(dtype)
    low, high = pixels.window_of(brain)
    windowed = np.round(((brain - low) / (high - low)).clip(0, 1) * 255)
    save(tmp_path / "plain", "a.png", np.uint8(windowed))
    (tmp_path / "tiff").mkdir()
    tifffile.imwrite(tmp_path / "tiff" / "a.tif", values, **how)
    plain, tiff = (
        datasets.load(str(tmp_path / name)).images.astype(int) for name in ("plain", "tiff")
    )
    assert np.abs(plain - tiff).mean() < 2


def test_a_disk_that_failed_is_asked_again(tmp_path, brain, monkeypatch):
    """A damaged file stays left out and is not read again; one that a failing disk held is."""
    for name in ("a.png", "b.png"):
        save(tmp_path, name, np.roll(brain, ord(name[0])))
    decode = reading.decode

    def fails(path):
        if path.name == "b.png":
            raise OSError(5, "Input/output error", str(path))
        return decode(path)

    monkeypatch.setattr(reading, "decode", fails)
    with pytest.warns(UserWarning, match="b.png"):
        assert len(datasets.load(str(tmp_path))) == 1
    monkeypatch.undo()
    assert len(datasets.load(str(tmp_path))) == 2


def test_names_in_any_encoding_are_read(tmp_path, brain):
    save(tmp_path, "plain.png", brain)
    os.rename(tmp_path / "plain.png", os.fsencode(tmp_path) + b"/M\xfcller.png")
    assert len(datasets.load(str(tmp_path))) == 1


def test_a_patient_in_train_and_test_is_one_patient(tmp_path):
    for i, place in enumerate(("train/smith", "test/smith", "train/jones", "val/brown")):
        save(tmp_path / place, f"{i}.png", datasets.load("mni152").images[20 * i + 10, 0])
    d = datasets.load(str(tmp_path))
    assert len(d) == 4 and len(np.unique(d.groups)) == 3


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_that_is_none_is_refused(tmp_path, size):
    with pytest.raises(datasets.DataError, match="1 or more pixels"):
        datasets.load("mni152", size)


def test_other_patients_folders_are_another_split(tmp_path, brain):
    split = {}
    for layout in ("aabb", "abbb"):
        for i, patient in enumerate(layout):
            (tmp_path / layout / patient).mkdir(parents=True, exist_ok=True)
            save(tmp_path / layout / patient, f"{i}.png", brain // (i + 1))
        split[layout] = datasets.load(str(tmp_path / layout))
    assert split["aabb"].fingerprint != split["abbb"].fingerprint
    assert split["aabb"].groups.tolist() == [0, 0, 1, 1]
    assert split["abbb"].groups.tolist() == [0, 1, 1, 1]


def test_a_file_of_several_pages_is_left_out(tmp_path, brain):
    pages = [Image.fromarray(brain), Image.fromarray(brain)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    save(tmp_path, "one.png", brain)
    for _ in range(2):  # the second time from the cache: it must not fall silent
        with pytest.warns(UserWarning, match="pages.tif: 2 pages"):
            assert len(datasets.load(str(tmp_path))) == 1


def test_images_of_one_patients_folder_stay_together(tmp_path):
    slices = datasets.load("mni152").images[:, 0]
    for patient in range(5):
        for i in range(3):
            save(tmp_path / "cases" / f"case{patient}", f"{i}.png", slices[20 * patient + i])
    d = datasets.load(str(tmp_path / "cases"))
    assert [(d.groups == g).sum() for g in np.unique(d.groups)] == [3] * 5


def test_the_real_covid_ct_folder(covid_ct):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        d = datasets.load("covid-ct")
    assert d.images.shape == (397, 1, 64, 64)
    assert d.left_out == ()
    assert len(np.unique(d.groups)) < 300  # 1%0.jpg and 1%1.jpg belong together
    assert noted(d, "397", "396")
    assert d.fingerprint == "4a948e5ce80d"  # or the committed records are of other images
    fewer = datasets.load("covid-ct-396")
    assert np.array_equal(fewer.images, d.images[:396]) and fewer.fingerprint != d.fingerprint
    train, heldout = d.split(0.1)
    assert not set(d.groups[train]) & set(d.groups[heldout])


def test_images_of_a_file_that_fails_half_way_are_not_used(tmp_path, brain, monkeypatch):
    for name in ("a.png", "b.png"):
        save(tmp_path, name, np.roll(brain, ord(name[0])))
    read_file = reading.read_file

    def fails(source, *more):
        owner, images = read_file(source, *more)

        def first_then_damage():
            yield from images
            raise ValueError(f"{source.path} ends too early")

        return owner, first_then_damage() if source.path.name == "b.png" else images

    monkeypatch.setattr(reading, "read_file", fails)
    with pytest.warns(UserWarning, match=r"b\.png: the file ends too early"):
        assert len(datasets.load(str(tmp_path))) == 1


def test_a_full_disk_is_named_and_not_taken_for_a_damaged_image(tmp_path, brain, monkeypatch):
    save(tmp_path / "scans", "a.png", brain)
    monkeypatch.setattr(cache, "BUILD", tmp_path / "build")

    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(OSError, match=r"could not write .*\.npy: No space left .*free space"):
        datasets.load(str(tmp_path / "scans"))
    assert list((tmp_path / "build" / "cache").iterdir()) == []


def test_the_window_is_between_the_first_and_the_last_percent_of_the_anatomy():
    values = np.arange(101.0)
    assert pixels.window_of(values) == pytest.approx((1, 99))
    background = np.full(101, -1000.0)  # half of all: it says nothing about the anatomy
    assert pixels.window_of(np.concatenate([background, values])) == pytest.approx((1, 99))


def test_a_plane_becomes_the_nearest_of_256_levels():
    levels = np.float32([[0, 0.1, 0.5, 0.999]])
    shown = [int(pixels.resize(np.full((4, 4), level), 2)[0, 0]) for level in levels[0]]
    assert shown == [0, 26, 128, 255]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_of_images_that_are_all_patients_just_the_share_is_held_out(share):
    images = datasets.Dataset("x", np.zeros((80, 1, 8, 8), np.uint8), np.arange(80), "x")
    training, held = images.split(share)
    assert (len(training), len(held)) == (80 - share * 80, share * 80)


def test_names_that_differ_after_a_percent_sign_are_one_case(tmp_path):
    """As in COVID-CT."""
    for name, image in zip(
        ("1%0.png", "1%1.png", "2.png"), datasets.load("mni152").images[10::30, 0], strict=False
    ):
        save(tmp_path, name, image)
    assert datasets.load(str(tmp_path)).groups.tolist() == [0, 0, 1]


def test_covid_ct_with_a_number_is_the_first_so_many_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    monkeypatch.setitem(DATASETS, "covid-ct-2", "the first two")
    for name, image in zip("bac", datasets.load("mni152").images[10::30, 0], strict=False):
        save(tmp_path / "covid-ct" / "CT_NonCOVID", f"{name}.png", image)
    first, every = datasets.load("covid-ct-2"), datasets.load("covid-ct")
    assert len(every) == 3 and np.array_equal(first.images, every.images[:2])
