import errno
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hagan_lite.system import checkpoints, paths, storage


def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoints.save_checkpoint(path, {"step": 1})

    def full(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"checkpoint\.pt.*free space"):
        storage.write_atomically(path, full)
    assert checkpoints.load_checkpoint(path, torch.device("cpu")) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]  # no temporary file is left


def test_a_checkpoint_that_meets_a_full_disk_is_named(tmp_path):
    """The kernel refuses to let a file grow, as a full disk does, in a process of its own."""
    script = """if True:
        import pathlib, resource, signal, sys, torch
        from hagan_lite.system import checkpoints
        path = pathlib.Path(sys.argv[1])
        checkpoints.save_checkpoint(path, {"step": 1})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            checkpoints.save_checkpoint(path, {"step": 2, "weights": torch.zeros(100_000)})
        except OSError as error:
            print(error)
        print(checkpoints.load_checkpoint(path, "cpu"))
    """
    pytest.importorskip("resource")
    path = tmp_path / "checkpoint.pt"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True)
    assert re.search(r"could not write .*checkpoint\.pt: .*free space", done.stdout), (
        done.stdout + done.stderr
    )
    assert "{'step': 1}" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_an_interrupted_write_leaves_no_half_file(tmp_path):
    def interrupted(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write_atomically(tmp_path / "a", interrupted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
def test_a_file_is_as_private_as_the_umask_says_and_stays_so(tmp_path):
    def mode_under(umask, name):
        before = os.umask(umask)
        try:
            return storage.write_json(tmp_path / name, {}).stat().st_mode & 0o777
        finally:
            os.umask(before)

    assert mode_under(0o022, "public.json") == 0o644
    assert mode_under(0o077, "private.json") == 0o600
    assert mode_under(0o022, "private.json") == 0o600  # written over
    assert mode_under(0o077, "public.json") == 0o600


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, ("import pathlib; pathlib.Path('owned').touch()",))

    path = tmp_path / "checkpoint.pt"
    torch.save({"step": Evil()}, path)
    with pytest.raises(ValueError, match="damaged"):
        checkpoints.load_checkpoint(path, torch.device("cpu"))
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="damaged"):
        checkpoints.load_checkpoint(path, torch.device("cpu"))


def test_one_flipped_bit_of_a_checkpoint_is_noticed(tmp_path):
    state = {"weights": torch.arange(10_000.0), "step": 3}
    path = checkpoints.save_checkpoint(tmp_path / "checkpoint.pt", state)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged"):
        checkpoints.load_checkpoint(path, torch.device("cpu"))


def test_bytes_that_are_no_text_are_not_json(tmp_path):
    (tmp_path / "record.json").write_bytes(b"\xca\xfe" * 30)
    with pytest.raises(ValueError, match=r"record\.json"):
        storage.read_json(tmp_path / "record.json")


def test_json_keeps_texts_as_they_are_and_numbers_on_one_line(tmp_path):
    value = dict(folder="scans [old  ones]/x", numbers=[1, 2.5, 3])
    path = storage.write_json(tmp_path / "a.json", value)
    assert storage.read_json(path) == value and "[ 1, 2.5, 3 ]" in path.read_text()


def test_broken_json_is_named(tmp_path):
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(ValueError, match=r"record\.json.*delete"):
        storage.read_json(tmp_path / "record.json")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_dead_process_holds_no_lock(tmp_path):
    hold = """if True:
        import sys, time
        from hagan_lite.system import storage
        with storage.only_writer(sys.argv[1]):
            print("mine", flush=True)
            time.sleep(600)
    """
    holder = subprocess.Popen([sys.executable, "-c", hold, str(tmp_path)], stdout=subprocess.PIPE)
    holder.stdout.readline()
    assert storage.written_now(tmp_path)
    with (
        pytest.raises(RuntimeError, match=re.escape(str(tmp_path))),
        storage.only_writer(tmp_path, wait=0.1),
    ):
        pass
    holder.kill()
    holder.wait()
    assert not storage.written_now(tmp_path)
    with storage.only_writer(tmp_path, wait=0.1):
        assert storage.written_now(tmp_path)


def without_locks(monkeypatch, number):
    import fcntl

    def flock(descriptor, operation):
        if operation & fcntl.LOCK_EX:
            raise OSError(number, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_file_system_without_locks_is_named_with_the_remedy(tmp_path, monkeypatch):
    """As an NFS mount without lockd; and `hagan status` goes on there."""
    without_locks(monkeypatch, errno.ENOLCK)
    with (
        pytest.raises(OSError, match=f"{tmp_path} is on a file system without locks.*HAGAN_BUILD"),
        storage.only_writer(tmp_path),
    ):
        pass
    assert storage.written_now(tmp_path) is False


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_where_nothing_may_be_written_hagan_build_is_named(tmp_path, monkeypatch, number):
    def refused(*_, **__):
        raise OSError(number, "refused")

    monkeypatch.setattr(storage, "open", refused, raising=False)
    with pytest.raises(
        OSError,
        match=r"could not write .*a\.json: refused; choose a folder you may write; HAGAN_BUILD",
    ):
        storage.write_json(tmp_path / "a.json", {})
    without_locks(monkeypatch, errno.EROFS)
    with pytest.raises(OSError, match="may write; HAGAN_BUILD"), storage.only_writer(tmp_path):
        pass
    assert storage.written_now(tmp_path) is False


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("", "build"), (" ", "build"), ("~/hb", None), ("a{b},c d", "a{b},c d"), ("/x/{y}", "/x/{y}")],
)
def test_a_variable_names_a_folder_and_nothing_means_unset(monkeypatch, value, wanted):
    monkeypatch.setenv("HAGAN_BUILD", value)
    found = paths.chosen("HAGAN_BUILD", "build")
    assert found == (Path.home() / "hb" if wanted is None else paths.ROOT / wanted)
