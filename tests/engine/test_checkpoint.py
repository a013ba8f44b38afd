"""Checkpoints survive kills, notice damage, and keep the one before."""

import errno
import os
import random
import signal
import struct
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from kdrun.core import atomic
from kdrun.core.errors import DamagedFile, DiskFull, UserError
from kdrun.engine import checkpoint

POINTS = ("before-temp", "half-temp", "before-fsync", "before-rename", "after-rename")

# One import of torch, a fork for each point: the child that saves is killed there.
SAVE_AND_DIE = """
import os, sys
from pathlib import Path
import torch
from kdrun.engine import checkpoint
for point in sys.argv[2:]:
    folder = Path(sys.argv[1], point)
    folder.mkdir()
    for step in (1, 2):
        checkpoint.save(folder, {"step": step, "weight": torch.full((5_000,), float(step))})
    os.environ["KDRUN_FAULT"] = point + ":1"
    child = os.fork()
    if child == 0:
        checkpoint.save(folder, {"step": 3, "weight": torch.full((5_000,), 3.0)})
        os._exit(0)
    print(os.waitpid(child, 0)[1], flush=True)
    del os.environ["KDRUN_FAULT"]
"""


def state(step: int) -> dict[str, object]:
    return {"step": step, "weight": torch.full((1_000,), float(step))}


def refuse(sentence: str) -> None:
    raise AssertionError(sentence)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Steps 1 and 2 are saved: 2 is current, 1 the one before."""
    for step in (1, 2):
        checkpoint.save(tmp_path, state(step))
    return tmp_path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder a point; steps 1 and 2 are saved, the save of step 3 was killed."""
    root = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", SAVE_AND_DIE, str(root), *POINTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(int(signal.SIGKILL))] * len(POINTS), done.stderr
    return root


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_while_saving_leaves_a_whole_checkpoint(killed, point):
    folder = killed / point
    loaded = checkpoint.load(folder, refuse)
    step = 3 if point == "after-rename" else 2
    assert loaded is not None
    assert loaded["step"] == step
    assert torch.equal(loaded["weight"], torch.full((5_000,), float(step)))

    checkpoint.save(folder, state(4))
    checkpoint.save(folder, state(5))
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["checkpoint.previous.pt", "checkpoint.pt"]


def test_a_folder_without_checkpoint_has_none(tmp_path):
    assert checkpoint.load(tmp_path, refuse) is None


def test_the_newest_state_is_loaded_and_the_one_before_is_kept(folder):
    loaded = checkpoint.load(folder, refuse)
    assert loaded is not None
    assert loaded["step"] == 2
    (folder / checkpoint.CURRENT).unlink()
    loaded = checkpoint.load(folder, refuse)
    assert loaded is not None
    assert loaded["step"] == 1


def test_save_returns_the_bytes_on_disk(folder):
    assert checkpoint.save(folder, state(3)) == (folder / checkpoint.CURRENT).stat().st_size


def assert_refused(folder: Path, damaged: bytes) -> None:
    path = folder / checkpoint.CURRENT
    path.write_bytes(damaged)
    told: list[str] = []
    loaded = checkpoint.load(folder, told.append)
    assert loaded is not None
    assert loaded["step"] == 1
    assert len(told) == 1
    assert "checkpoint.pt" in told[0]
    assert "going on from checkpoint.previous.pt" in told[0]


def test_every_flipped_bit_is_noticed_and_the_one_before_is_used(folder):
    whole = (folder / checkpoint.CURRENT).read_bytes()
    (folder / checkpoint.CURRENT).unlink()  # its other link must stay whole
    head = range(8 * 60)  # each field of the head, and places all over
    draw = random.Random(2)
    for bit in [*draw.sample(head, 60), *draw.sample(range(8 * len(whole)), 140)]:
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        assert_refused(folder, bytes(damaged))


def test_every_truncation_is_noticed_and_the_one_before_is_used(folder):
    whole = (folder / checkpoint.CURRENT).read_bytes()
    (folder / checkpoint.CURRENT).unlink()
    lengths = [0, 1, 7, 8, 39, 40, 43, 44, len(whole) - 1]
    for length in [*lengths, *random.Random(3).sample(range(len(whole)), 11)]:
        assert_refused(folder, whole[:length])


def test_a_damaged_file_never_takes_the_place_of_the_good_one(folder):
    path = folder / checkpoint.CURRENT
    path.unlink()
    path.write_bytes(b"damaged")
    assert checkpoint.load(folder, lambda sentence: None) is not None
    assert (folder / checkpoint.DAMAGED).read_bytes() == b"damaged"
    checkpoint.save(folder, state(3))
    path.unlink()
    loaded = checkpoint.load(folder, refuse)
    assert loaded is not None
    assert loaded["step"] == 1


def test_two_damaged_files_stop_the_run(folder):
    for name in (checkpoint.CURRENT, checkpoint.PREVIOUS):
        path = folder / name
        damaged = path.read_bytes()[:-1]
        path.unlink()
        path.write_bytes(damaged)
    with pytest.raises(DamagedFile, match=r"no checkpoint in .* can be used") as caught:
        checkpoint.load(folder, refuse)
    assert caught.value.status == 9
    remedy = (
        "  to train this stage anew, delete checkpoint.pt and checkpoint.previous.pt there, then"
    )
    assert caught.value.lines[-1] == f"{remedy} resume the run"
    assert not caught.value.resumable  # resumed as it is, the run would fail again
    assert len(list(folder.iterdir())) == 2


def test_the_remedy_names_the_damaged_files_that_are_there(folder):
    (folder / checkpoint.CURRENT).unlink()
    damaged = folder / checkpoint.PREVIOUS
    damaged.unlink()
    damaged.write_bytes(b"damaged")
    with pytest.raises(DamagedFile) as caught:
        checkpoint.load(folder, refuse)
    assert "delete checkpoint.previous.pt there" in caught.value.lines[-1]


def saved(folder: Path, step: int, training: str) -> None:
    checkpoint.save(folder, {**state(step), "training": training})


def step_of(folder: Path, training: str, told: list[str]) -> int | None:
    loaded = checkpoint.load(folder, told.append, training)
    return None if loaded is None else loaded["step"]


def test_a_state_of_another_training_is_kept_until_that_is_back(tmp_path):
    for step in (1, 2):
        saved(tmp_path, step, "before")
    told: list[str] = []
    assert step_of(tmp_path, "after", told) is None
    assert told == [
        "checkpoint.pt: it is of another training: of other settings, data, code or teachers;"
        " it is kept as checkpoint.other.pt, and the stage begins anew"
    ]
    for step in (11, 12):
        saved(tmp_path, step, "after")
    assert step_of(tmp_path, "after", told) == 12
    assert step_of(tmp_path, "before", told) == 2
    assert step_of(tmp_path, "before", told) == 2
    assert told[1].endswith("; going on from checkpoint.other.pt")
    assert step_of(tmp_path, "after", told) == 12
    checkpoint.clear(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_strange_file_is_put_aside_and_the_own_one_before_it_is_used(tmp_path):
    for step, training in ((1, "own"), (2, "strange")):
        saved(tmp_path, step, training)
    told: list[str] = []
    assert step_of(tmp_path, "own", told) == 1
    assert told[0].endswith("; going on from checkpoint.previous.pt")
    saved(tmp_path, 3, "own")
    assert step_of(tmp_path, "own", told) == 3
    assert len(told) == 1


def test_a_damaged_file_beside_one_of_another_training_is_no_reason_to_begin_anew(tmp_path):
    for step in (1, 2):
        saved(tmp_path, step, "before")
    (tmp_path / checkpoint.CURRENT).unlink()
    (tmp_path / checkpoint.CURRENT).write_bytes(b"damaged")
    with pytest.raises(DamagedFile, match=r"no checkpoint in .* can be used"):
        step_of(tmp_path, "after", [])


def test_a_state_of_an_older_kdrun_has_no_fingerprint_and_is_used(folder):
    assert step_of(folder, "any", []) == 2


def test_a_file_that_the_disk_cannot_read_counts_as_damaged(folder, monkeypatch):
    def fail(file: object) -> int:
        monkeypatch.undo()
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(checkpoint, "_verify", fail)
    told: list[str] = []
    loaded = checkpoint.load(folder, told.append)
    assert loaded is not None
    assert loaded["step"] == 1
    assert "Input/output error" in told[0]


def test_a_newer_format_is_told_from_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_FORMAT", 2)
    checkpoint.save(tmp_path, state(1))
    monkeypatch.undo()
    with pytest.raises(UserError, match="checkpoint format 2; this kdrun reads up to 1"):
        checkpoint.load(tmp_path, refuse)


@pytest.mark.parametrize("point", POINTS[:-1])
def test_a_full_disk_keeps_the_older_files(folder, point, monkeypatch):
    atomic._passes.clear()
    monkeypatch.setenv("KDRUN_FAULT", f"{point}:1:enospc")
    with pytest.raises(DiskFull, match="disk full: need"):
        checkpoint.save(folder, state(3))
    loaded = checkpoint.load(folder, refuse)
    assert loaded is not None
    assert loaded["step"] == 2
    assert len(list(folder.iterdir())) == 2


def test_clear_removes_the_checkpoints(folder):
    (folder / "weights").touch()
    checkpoint.clear(folder)
    checkpoint.clear(folder)
    assert [file.name for file in folder.iterdir()] == ["weights"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 8,
        b"\x00" * 7 + b"\x02[]",
        b"\xff" * 8 + b"{}",
        b"\x00" * 7 + b"\x02{}",
        b"\x00" * 7 + b"\x01x",
        b"\x00" * 7 + b"\x30" + b'{"dict":[["a",{"tensor":"load","shape":[1,2]}]]} ',
        b"\x00" * 7 + b"\x31" + b'{"dict":[["a",{"tensor":"int8","shape":[1E6]}]]} ',
        b"\x00" * 7 + b"\x31" + b'{"dict":[["a",{"tensor":"int8","shape":[9999]}]]}',
        b"\x00" * 7 + b"\x0b" + b'{"dict":[]} and more',
    ],
)
def test_other_content_with_a_right_digest_is_damaged(content: bytes, tmp_path: Path) -> None:
    payload = struct.pack(">I", 1) + content
    (tmp_path / checkpoint.CURRENT).write_bytes(b"kdrun\x00ck" + sha256(payload).digest() + payload)
    with pytest.raises(DamagedFile, match="its content is no state of a training"):
        checkpoint.load(tmp_path, print)
