"""Download what needs no registration (`hagan data fetch`) and unpack it into its own folder."""

import contextlib
import errno
import io
import os
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import pooch
import requests

from hagan_lite.datasets import covid_ct
from hagan_lite.datasets.folder import PICTURES
from hagan_lite.datasets.sources import DataError
from hagan_lite.system.storage import name_a_full_disk, write_atomically

COMMIT = "1fc10ba9d4cb35944766fd8fc3c139fa60ee13a1"
URL = f"https://github.com/UCSD-AI4H/COVID-CT/raw/{COMMIT}/Images-processed/CT_NonCOVID.zip"
MOST_BYTES, MOST_UNPACKED = 500_000_000, 2_000_000_000


class Refused(RuntimeError):
    """Report a download or an archive that is not what was asked for; no second try would help."""


def fetch_covid_ct(root: Path, url: str = URL, tries: int = 4) -> tuple[Path, str]:
    """Download the CT_NonCOVID images; return their folder and a sentence about the checksum.

    The folder is `root`/covid-ct/CT_NonCOVID; one that has files stays as it is. Nobody publishes
    a checksum: that of the first download is noted beside the folder, and later downloads must
    have the same. Raises DataError with what to put where if `tries` downloads fail, Refused for
    an unsafe or wrong archive, OSError with the remedy if the disk is full.
    """
    place = root / covid_ct.PLACE
    if place.is_dir() and any(place.iterdir()):
        return place, "it was there already; delete the folder to fetch it again"
    note = place.with_suffix(".zip.sha256")
    expected = note.read_text().split()[0] if note.is_file() else None
    archive = place.with_suffix(".zip")
    try:
        with name_a_full_disk(archive):
            digest = download(url, archive, expected, tries)
    except ValueError as error:
        raise DataError(
            f"covid-ct was not fetched from {url} ({error}). By hand: download that or another "
            f"copy of the data set's CT_NonCOVID images, and put the images into {place}/"
        ) from error
    unpack(archive, place)
    archive.unlink()
    write_atomically(note, lambda file: file.write(f"{digest}  {url}\n".encode()))
    if expected:
        return place, f"sha256 {digest}: as noted before"
    return place, f"sha256 {digest}: noted now, later downloads must have the same"


def download(url: str, archive: Path, expected: str | None, tries: int) -> str:
    """Download `url` to `archive` and return its sha256; an archive that is there is used.

    Raises ValueError if the network fails `tries` times or the sha256 is not the `expected` one,
    Refused for more than MOST_BYTES, OSError if the file cannot be written.
    """
    pooch.get_logger().setLevel("ERROR")
    source = pooch.create(
        archive.parent,
        base_url="",
        registry={archive.name: expected},
        urls={archive.name: url},
        retry_if_failed=tries - 1,
    )
    try:
        source.fetch(archive.name, downloader=_download_limited)
    except requests.exceptions.RequestException as error:  # an OSError, but not one of the disk
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return pooch.file_hash(str(archive))


def _download_limited(url: str, path: str, source: pooch.Pooch) -> None:
    """Download as pooch does, into a file that refuses to grow beyond MOST_BYTES."""

    class Limited(io.BufferedWriter):
        def write(self, block: bytes) -> int:
            if self.tell() + len(block) > MOST_BYTES:
                raise Refused(f"{url} has more than the {MOST_BYTES:,} bytes expected at most")
            return super().write(block)

    with Limited(io.FileIO(path, "wb")) as file:
        pooch.HTTPDownloader(progressbar=True, timeout=30)(url, file, source)


def unpack(archive: Path, place: Path) -> None:
    """Unpack the archive's pictures into the new folder `place`, whole or not at all.

    Raises Refused, and deletes the archive, where it is damaged, unsafe, too large or without
    pictures; OSError where the disk is full, then the archive stays for the next try.
    """
    try:
        pictures = checked_pictures(archive)
        with name_a_full_disk(place), tempfile.TemporaryDirectory(dir=place.parent) as stage:
            unzip = pooch.Unzip(members=pictures, extract_dir=f"{Path(stage).name}/unpacked")
            files = unzip(str(archive), "download", None)
            folder = Path(os.path.commonpath([Path(file).parent for file in files]))
            with contextlib.suppress(OSError):
                place.rmdir()  # an empty one
            os.replace(folder, place)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            archive.unlink()
        raise
    except Refused:
        archive.unlink()
        raise
    except Exception as error:  # BadZipFile, zlib.error, RuntimeError for a password ...
        archive.unlink()
        raise Refused(
            f"{archive.name} is damaged ({error}); it was deleted: run the same command again"
        ) from error


def checked_pictures(archive: Path) -> list[str]:
    """Return the names of the pictures in a zip archive; nothing is unpacked.

    Raises Refused for a path that leaves the folder, a link, more than MOST_UNPACKED bytes, or no
    pictures; BadZipFile for what is no archive.
    """
    with zipfile.ZipFile(archive) as packed:
        members = packed.infolist()
    for member in members:
        if _leads_out(member):
            raise Refused(
                f"{archive.name} holds {member.filename!r}, which leads out of its folder; "
                "nothing was unpacked"
            )
    size = sum(member.file_size for member in members)
    if size > MOST_UNPACKED:
        raise Refused(
            f"{archive.name} unpacks to {size:,} bytes, more than {MOST_UNPACKED:,}; "
            "nothing was unpacked"
        )
    names = [member.filename for member in members if _is_picture(member.filename)]
    if not names:
        raise Refused(f"{archive.name} holds no pictures; it was deleted")
    return names


def _leads_out(member: zipfile.ZipInfo) -> bool:
    """Return whether a member is a link, or has a path that could leave the folder."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    link = stat.S_ISLNK(member.external_attr >> 16)
    return link or path.is_absolute() or ".." in path.parts or ":" in str(path)


def _is_picture(name: str) -> bool:
    """Return whether a member is a picture, and not what macOS adds to archives."""
    hidden = any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)
    return not hidden and name.lower().endswith(PICTURES)
