"""`hagan data fetch`: downloads what needs no registration, and unpacks it into its folder and no other."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import pooch
import requests
from tqdm.auto import tqdm

from hagan_lite.datasets import covid_ct, folder
from hagan_lite.datasets.sources import DataError
from hagan_lite.system.storage import name_a_full_disk, write_atomically

COMMIT = "1fc10ba9d4cb35944766fd8fc3c139fa60ee13a1"
URL = f"https://github.com/UCSD-AI4H/COVID-CT/raw/{COMMIT}/Images-processed/CT_NonCOVID.zip"
MOST_BYTES, MOST_UNPACKED = 500_000_000, 2_000_000_000


class Refused(RuntimeError):
    """A download or an archive that is not what was asked for; trying again would not help."""


def fetch_covid_ct(root: Path, url: str = URL, tries: int = 4) -> tuple[Path, str]:
    """Downloads the CT_NonCOVID images to `root`/covid-ct/CT_NonCOVID; returns the folder, and what is to say.

    What is there is kept. A broken download goes on where it was, `tries` times in one call and in later ones. The
    checksum is not known in advance: the first download's is written to a file beside, later ones must have the same.
    Raises DataError with what to put where if the network does not give it; Refused for an unsafe or wrong archive.
    """
    place = root / covid_ct.PLACE
    if place.is_dir() and any(place.iterdir()):
        return place, "it was there already; delete the folder to fetch it again"
    noted = place.with_suffix(".zip.sha256")
    known = noted.read_text().split()[0] if noted.is_file() else None
    with name_a_full_disk(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        archive = place.with_suffix(".zip")
        source = pooch.create(
            place.parent,
            base_url="",
            registry={archive.name: known},
            urls={archive.name: url},
            retry_if_failed=tries - 1,
        )
        pooch.get_logger().setLevel("ERROR")
        try:
            source.fetch(archive.name, downloader=_resuming(archive.with_suffix(".zip.part")))
        except (requests.exceptions.RequestException, ValueError) as error:  # ValueError: not the checksum noted
            raise DataError(
                f"covid-ct was not fetched from {url} ({type(error).__name__}: {error}). By hand: download that or "
                f"another copy of the data set's CT_NonCOVID images, and put the images into {place}/"
            ) from error
    digest = pooch.file_hash(str(archive))
    unpack(archive, place)
    write_atomically(noted, lambda f: f.write(f"{digest}  {url}\n".encode()))
    archive.unlink()
    said = (
        "as noted before"
        if known
        else "noted now, and asked of any later download; nobody told us in advance what it is"
    )
    return place, f"sha256 {digest}: {said}"


def _resuming(part: Path):
    """A downloader for pooch that keeps what arrived in `part`, and asks only for the rest next time."""

    def download(url: str, output: str, _: pooch.Pooch) -> None:
        mine = part.with_suffix(f".{hashlib.sha256(url.encode()).hexdigest()[:8]}")  # another address, another file
        have = mine.stat().st_size if mine.is_file() else 0
        with requests.get(url, stream=True, timeout=30, headers={"Range": f"bytes={have}-"} if have else {}) as answer:
            if answer.status_code == 416:  # nothing after `have`: what is here is not the beginning of that file
                mine.unlink()
            answer.raise_for_status()
            if have and answer.status_code != 206:
                have = 0
            total = have + int(answer.headers.get("Content-Length", 0))
            if total > MOST_BYTES:
                raise Refused(f"{url} has {total:,} bytes, more than the {MOST_BYTES:,} that are expected at most")
            bar = tqdm(desc="downloading", total=total or None, initial=have, unit="B", unit_scale=True)
            with bar, open(mine, "ab" if have else "wb") as file:
                for block in answer.iter_content(1 << 16):
                    if file.tell() + len(block) > MOST_BYTES:
                        raise Refused(f"{url} sent more than the {MOST_BYTES:,} bytes that are expected at most")
                    file.write(block)
                    bar.update(len(block))
        os.replace(mine, output)  # pooch's own file lies in the same folder

    return download


def unpack(archive: Path, place: Path) -> None:
    """The archive's pictures to the new folder `place`, whole or not at all.

    Every name is looked at before anything is written. Raises Refused for a path that leaves the folder, a link, more
    than MOST_UNPACKED bytes, or no pictures; the archive is deleted then, as it is where it is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as packed, tempfile.TemporaryDirectory(dir=place.parent) as stage:
            infos = packed.infolist()
            for info in infos:
                name, link = PurePosixPath(info.filename.replace("\\", "/")), stat.S_ISLNK(info.external_attr >> 16)
                if link or name.is_absolute() or ".." in name.parts or ":" in str(name):
                    raise Refused(
                        f"{archive.name} holds {info.filename!r}, which leads out of its folder; nothing was unpacked"
                    )
            if (size := sum(info.file_size for info in infos)) > MOST_UNPACKED:
                raise Refused(
                    f"{archive.name} unpacks to {size:,} bytes, more than {MOST_UNPACKED:,}; nothing was unpacked"
                )
            with name_a_full_disk(place):
                packed.extractall(stage)
            found = folder.find(Path(stage))
            if not found.sources:
                raise Refused(f"{archive.name} holds no pictures")
            pictures, wanted = (
                Path(os.path.commonpath([s.path.parent for s in found.sources])),
                {s.path for s in found.sources},
            )
            for other in [p for p in pictures.rglob("*") if p.is_file() and p not in wanted]:
                other.unlink()
            pictures.chmod(0o755)
            with contextlib.suppress(OSError):
                place.rmdir()  # an empty one
            with name_a_full_disk(place):
                os.replace(pictures, place) if pictures != Path(stage) else shutil.copytree(stage, place)
    except (Refused, OSError) as error:
        if isinstance(error, Refused) or error.errno != errno.ENOSPC:
            archive.unlink()
        raise
    except Exception as error:  # BadZipFile, zlib.error, RuntimeError for a password, NotImplementedError ...
        archive.unlink()
        raise Refused(f"{archive.name} is damaged ({error}); it was deleted: run the same command again") from error
