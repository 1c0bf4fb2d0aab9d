import errno
import pickle

import pytest
import torch

from hagan_lite import storage


def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(tmp_path):
    path = tmp_path / "checkpoint.pt"
    storage.save_checkpoint(path, {"step": 1})

    def full(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"checkpoint\.pt.*free space"):
        storage.write_atomically(path, full)
    assert storage.load_checkpoint(path, torch.device("cpu")) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]  # no temporary file is left


def test_an_interrupted_write_leaves_no_half_file(tmp_path):
    def interrupted(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write_atomically(tmp_path / "a", interrupted)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, ("import pathlib; pathlib.Path('owned').touch()",))

    path = tmp_path / "checkpoint.pt"
    torch.save({"step": Evil()}, path)
    with pytest.raises(ValueError, match="damaged"):
        storage.load_checkpoint(path, torch.device("cpu"))
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ValueError, match="damaged"):
        storage.load_checkpoint(path, torch.device("cpu"))


def test_broken_json_is_named(tmp_path):
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(ValueError, match=r"record\.json.*delete"):
        storage.read_json(tmp_path / "record.json")
