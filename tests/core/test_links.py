"""A link in a folder from elsewhere makes kdrun write nothing outside of that folder."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kdrun.core.atomic import write_bytes
from kdrun.core.errors import KdrunError, UserError
from kdrun.core.folder import RunFolder
from kdrun.core.lock import FolderLock
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.screen import Screen
from kdrun.core.store import Store
from kdrun.engine.outputs import Layout, Writer
from kdrun.engine.watch import make_watch

LINE = {"stage": "teacher", "epoch": 0, "step": 0, "split": "train"}


def lock(folder: Path) -> None:
    FolderLock(folder).acquire(wait=False).release()


def append(folder: Path) -> None:
    MetricsLog(folder / "metrics.jsonl").append(LINE)


def cut(folder: Path) -> None:
    MetricsLog(folder / "metrics.jsonl").truncate(0)


def say(folder: Path) -> None:
    screen = Screen()
    screen.log_to(folder / "log.txt")
    screen.say("a line")


def store_outputs(folder: Path) -> None:
    layout = Layout(views=1, samples=2, classes=2, dtype="fp32", top_k=None)
    writer = Writer(folder, layout)
    writer.begin()
    writer.append(torch.zeros(2, 2))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        (".lock", lock),
        ("metrics.jsonl", append),
        ("metrics.jsonl", cut),
        ("log.txt", say),
        ("outputs-logits.bin", store_outputs),
    ],
)
@pytest.mark.parametrize("content", ["precious\n", "precious, without a last newline"])
def test_no_linked_file_is_written(
    tmp_path: Path, name: str, write: Callable[[Path], None], content: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text(content)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(precious)
    with pytest.raises(KdrunError, match=f"{name}' is a symbolic link"):
        write(tmp_path / "run")
    assert precious.read_text() == content


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("export", lambda folder: RunFolder(folder).export),
        ("student", lambda folder: RunFolder(folder).stage("student")),
        ("tensorboard", lambda folder: make_watch("tensorboard", folder)),
        ("a1b2", lambda folder: Store(folder).lock("a1b2")),
    ],
)
def test_no_linked_folder_is_written(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=f"{name}' is a symbolic link"):
        write(tmp_path / "run")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_that_is_replaced_replaces_a_link_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "run.json").symlink_to(tmp_path / "precious")
    write_bytes(tmp_path / "run.json", b"new")
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "run.json").is_symlink()
