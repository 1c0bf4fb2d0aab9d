"""Fetching, from a server on this machine that behaves as badly as the network can."""

import hashlib
import io
import stat
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from helpers import hagan
from PIL import Image

from hagan_lite import datasets
from hagan_lite.datasets import fetch
from hagan_lite.datasets.sources import DataError


def archive(
    names=("CT_NonCOVID/0.png", "CT_NonCOVID/1%0.jpg", "__MACOSX/CT_NonCOVID/._0.png"), **links
) -> bytes:
    """A zip of small pictures of noise, and of links."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for i, name in enumerate(names):
            picture = io.BytesIO()
            Image.effect_noise((400 + i, 400), 50).save(picture, "png")
            packed.writestr(name, picture.getvalue())
        for name, target in links.items():
            info = zipfile.ZipInfo(f"CT_NonCOVID/{name}")
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            packed.writestr(info, target)
    return out.getvalue()


@pytest.fixture
def server(monkeypatch):
    """Serve `server.content`; the next connections break off after `server.drops` bytes."""
    monkeypatch.setattr("time.sleep", lambda _: None)  # pooch waits between two tries

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            here.requests += 1
            sent = here.drops.pop(0) if here.drops else len(here.content)
            self.send_response(200)
            self.send_header("Content-Length", str(len(here.content)))
            self.end_headers()
            self.wfile.write(here.content[:sent])

        def log_message(self, *_):
            pass

    here = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.content, here.drops, here.requests = archive(), [], 0
    here.url = f"http://127.0.0.1:{here.server_address[1]}/CT_NonCOVID.zip"
    threading.Thread(target=here.serve_forever, daemon=True).start()
    yield here
    here.shutdown()
    here.server_close()


def left(root):
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def test_a_dropped_download_is_tried_again(server, tmp_path, monkeypatch):
    server.drops = [200_000]
    place, said = fetch.fetch_covid_ct(tmp_path, server.url)
    assert server.requests == 2
    digest = hashlib.sha256(server.content).hexdigest()
    assert digest in said and "noted now" in said
    assert left(tmp_path) == [  # no picture, no file
        "covid-ct/CT_NonCOVID.zip.sha256",
        "covid-ct/CT_NonCOVID/0.png",
        "covid-ct/CT_NonCOVID/1%0.jpg",
    ]
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    assert len(datasets.load("covid-ct")) == 2
    assert place == tmp_path / "covid-ct" / "CT_NonCOVID"


def test_a_download_that_drops_each_time_leaves_nothing_and_says_what_to_do(server, tmp_path):
    server.drops = [100_000, 100_000]
    with pytest.raises(DataError, match=r"not fetched from .*By hand: .*CT_NonCOVID/$"):
        fetch.fetch_covid_ct(tmp_path, server.url, tries=2)
    assert left(tmp_path) == []
    fetch.fetch_covid_ct(tmp_path, server.url)


def test_what_is_there_is_kept(server, tmp_path):
    fetch.fetch_covid_ct(tmp_path, server.url)
    assert "already" in fetch.fetch_covid_ct(tmp_path, server.url)[1]
    assert server.requests == 1


def test_another_archive_than_the_first_time_is_refused(server, tmp_path):
    place, _ = fetch.fetch_covid_ct(tmp_path, server.url)
    for file in place.iterdir():
        file.unlink()
    same = fetch.fetch_covid_ct(tmp_path, server.url)[1]
    assert "as noted before" in same
    for file in place.iterdir():
        file.unlink()
    server.content = archive(("CT_NonCOVID/other.png",))
    with pytest.raises(DataError, match="hash"):
        fetch.fetch_covid_ct(tmp_path, server.url, tries=1)
    assert not list(place.iterdir())


def test_a_download_that_is_too_large_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "MOST_BYTES", 4000)
    with pytest.raises(fetch.Refused, match="more than the 4,000"):
        fetch.fetch_covid_ct(tmp_path, server.url)
    assert not (tmp_path / "covid-ct" / "CT_NonCOVID").exists()


@pytest.mark.parametrize(
    "content",
    [
        archive(("CT_NonCOVID/a.png", "../../outside.png")),
        archive(("/outside.png",)),
        archive(("CT_NonCOVID\\..\\..\\outside.png",)),
        archive(("C:/outside.png",)),
        archive(link="../../.."),
    ],
    ids=["up", "absolute", "backslash", "drive", "link"],
)
def test_an_archive_that_would_write_outside_its_folder_is_refused(server, tmp_path, content):
    server.content = content
    with pytest.raises(fetch.Refused, match="leads out of its folder; nothing was unpacked"):
        fetch.fetch_covid_ct(tmp_path / "data", server.url)
    assert left(tmp_path) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "MOST_UNPACKED", 5000)
    with pytest.raises(fetch.Refused, match="nothing was unpacked"):
        fetch.fetch_covid_ct(tmp_path, server.url)
    assert left(tmp_path) == []


def flipped() -> bytes:
    """An archive of deflated pictures, some bytes in the middle of one changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("CT_NonCOVID/0.png", b"the same over and over " * 500)
    whole = bytearray(out.getvalue())
    whole[60:70] = b"\xff" * 10
    return bytes(whole)


@pytest.mark.parametrize(
    "content",
    [b"<html>not found</html>", archive()[:4000], archive(("CT_NonCOVID/readme.txt",)), flipped()],
    ids=["page", "cut", "text", "flipped"],
)
def test_what_is_no_archive_of_pictures_is_refused_and_deleted(server, tmp_path, content):
    server.content = content
    with pytest.raises(fetch.Refused, match="deleted|no pictures"):
        fetch.fetch_covid_ct(tmp_path, server.url)
    assert left(tmp_path) == []


def test_without_network_the_folder_and_the_address_are_said(tmp_path, monkeypatch, server):
    server.shutdown()
    server.server_close()
    with pytest.raises(DataError) as error:
        fetch.fetch_covid_ct(tmp_path, server.url)
    assert server.url in str(error.value) and str(tmp_path / "covid-ct" / "CT_NonCOVID") in str(
        error.value
    )


def test_the_command_fetches_and_says_what_there_is(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    done = hagan("data", "fetch", "covid-ct", "--url", server.url)
    assert done.exit_code == 0, done.output
    assert "covid-ct: 2 images" in done.output and "sha256" in done.output


@pytest.mark.parametrize("name", ["acdc", "brats2018-flair", "lgg"])
def test_what_needs_registration_says_where_and_what_to_put_where(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HAGAN_DATA", str(tmp_path))
    done = hagan("data", "fetch", name)
    assert isinstance(done.exception, ValueError)
    assert "register" in str(done.exception) and str(tmp_path) in str(done.exception)


def test_a_name_that_cannot_be_fetched_is_named():
    done = hagan("data", "fetch", "mni152")
    assert isinstance(done.exception, ValueError) and "embedded" in str(done.exception)
