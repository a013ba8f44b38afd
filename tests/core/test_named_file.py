"""Where a file may go that the user names."""

import errno
import os
from pathlib import Path

import pytest

from kdrun.core.errors import DiskFull, UserError
from kdrun.core.named_file import prepare_file


def test_a_new_file_and_a_plain_one_may_be_written_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/page.html"
    assert prepare_file(path) == path
    path.write_text("")
    assert prepare_file(path) == path


def test_what_is_no_plain_file_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    for name in ("pipe", "link", "nowhere"):
        with pytest.raises(
            UserError, match=f"{name}' is not a regular file, and would be replaced"
        ):
            prepare_file(tmp_path / name)


@pytest.mark.parametrize("path", ["file/page.html", "file/further/page.html", f"{'x' * 300}/a"])
def test_a_path_that_can_be_no_folder_is_a_mistake(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"folder '.*' can't be made"):
        prepare_file(tmp_path / path)


def test_a_folder_that_may_not_be_made_or_written_is_the_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DiskFull, match=r"folder '.*' can't be written"):
        prepare_file(tmp_path / "page.html")
    monkeypatch.setattr(os, "mkdir", _not_permitted)
    with pytest.raises(DiskFull, match=r"folder '.*new' can't be made: Permission denied"):
        prepare_file(tmp_path / "new/page.html")


def _not_permitted(path: object, mode: int = 0o777) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
