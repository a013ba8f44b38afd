"""Folders whose files are damaged, seen through the command: a sentence and a known status."""

from pathlib import Path

import pytest
from report_runs import write_run
from tiny import Told


@pytest.mark.parametrize("verb", [("show",), ("report",), ("compare",), ("list", "runs")])
@pytest.mark.parametrize("name", ["summary.json", "run.json"])
def test_a_device_in_a_run_folder_keeps_no_command_waiting(
    verb: tuple[str, ...], name: str, tmp_path: Path, told: Told
) -> None:
    """Of several runs, the one with the device is named as damaged, and the others are shown."""
    folder = write_run(tmp_path / "runs" / "bad")
    write_run(tmp_path / "runs" / "good", seed=1)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    alone = verb[0] in ("show", "report")
    status, said = told(*verb, str(folder if alone else folder.parent))
    assert status == (9 if alone else 0)
    assert f"{name}'isasymboliclink" in "".join(said.split())  # wherever a table breaks its lines
    assert alone or "damaged" in said
