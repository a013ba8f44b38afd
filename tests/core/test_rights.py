"""New folders are the user's alone; those that others could have changed are not resumed."""

import os
import stat
from pathlib import Path

import pytest
from report_runs import write_run

from kdrun.core.errors import UserError
from kdrun.core.rights import refuse_shared
from kdrun.core.store import Store
from kdrun.run.new_folder import _make


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_the_users_alone(tmp_path: Path) -> None:
    assert _make(tmp_path / "outputs" / "run", "output_root")
    assert mode(tmp_path / "outputs" / "run") == 0o700


def test_a_new_store_is_the_users_alone(tmp_path: Path) -> None:
    Store(tmp_path / "outputs" / ".store").lock("a1b2")
    assert mode(tmp_path / "outputs" / ".store") == 0o700
    assert mode(tmp_path / "outputs" / ".store" / "a1b2") == 0o700


def test_a_store_that_was_shared_stays_shared(tmp_path: Path) -> None:
    (tmp_path / ".store").mkdir()
    (tmp_path / ".store").chmod(0o750)
    Store(tmp_path / ".store").lock("a1b2")
    assert mode(tmp_path / ".store" / "a1b2") == 0o750


@pytest.mark.parametrize("name", ["", "student", "student/artefact.json"])
def test_what_all_users_can_write_is_not_resumed(name: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    refuse_shared(folder)
    (folder / name).chmod(mode(folder / name) | stat.S_IWGRP)
    refuse_shared(folder)  # groups are often of one user
    (folder / name).chmod(mode(folder / name) | stat.S_IWOTH)
    with pytest.raises(UserError, match="can be written by all users") as refused:
        refuse_shared(folder)
    assert refused.value.status == 2
    assert f"kdrun resume {folder} --trust" in str(refused.value)


def test_what_another_user_owns_is_not_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "run")
    monkeypatch.setattr("kdrun.core.rights._ROOT", -1)
    refuse_shared(folder)
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(UserError, match="belongs to another user"):
        refuse_shared(folder)
