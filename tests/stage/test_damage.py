"""A damaged artefact of the store is made anew, wherever it is met; one's own is told of."""

import json
from pathlib import Path

import pytest
from plans import run_to

from kdrun.core.errors import DamagedFile
from kdrun.core.folder import RunFolder
from kdrun.core.store import BEST_WEIGHTS, RECORD, WEIGHTS


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def damage(path: Path) -> None:
    """Flip a byte in the file itself: all its hard links have it."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def fingerprint(run: Path, stage: str) -> str:
    return RunFolder(run).manifest()["stages"][stage]["fingerprint"]


@pytest.mark.parametrize("name", [WEIGHTS, BEST_WEIGHTS, RECORD])
def test_a_damaged_artefact_of_the_store_is_set_aside_and_made_anew(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_to(Path("first"))
    mark = fingerprint(first, "teacher")
    shared, aside = (Path("outputs/.store", place) for place in (mark, f"{mark}.damaged-1"))
    good, measured = (shared / WEIGHTS).read_bytes(), (first / "metrics.jsonl").read_bytes()
    damage(shared / name)
    said = capsys.readouterr().out
    second = run_to(Path("second"))
    said = capsys.readouterr().out
    assert said.count(f"is damaged; it is kept as {str(aside)!r}, and made anew") == 1
    assert (second / "teacher" / WEIGHTS).read_bytes() == good
    assert (shared / WEIGHTS).samefile(second / "teacher" / WEIGHTS)
    assert (aside / name).samefile(first / "teacher" / name)
    assert (second / "metrics.jsonl").read_bytes() == measured
    assert not RunFolder(second).manifest()["stages"]["teacher"]["from_store"]
    assert RunFolder(run_to(Path("third"))).manifest()["stages"]["teacher"]["from_store"]


def test_a_run_that_met_damage_is_gone_on_with(capsys: pytest.CaptureFixture[str]) -> None:
    first = run_to(Path("first"))
    good = (first / "alone" / WEIGHTS).read_bytes()
    damage(first / "alone" / WEIGHTS)
    for _ in range(2):
        capsys.readouterr()
        run_to(Path("first"))
        assert (first / "alone" / WEIGHTS).read_bytes() == good
    assert "damaged" not in capsys.readouterr().out


def test_a_damaged_student_is_told_of() -> None:
    first = run_to(Path("first"))
    damage(first / "student" / WEIGHTS)
    with pytest.raises(DamagedFile, match="delete its folder and resume"):
        run_to(Path("first"))


def test_a_setting_aside_that_broke_off_is_gone_on_with() -> None:
    first = run_to(Path("first"))
    mark = fingerprint(first, "teacher")
    shared = Path("outputs/.store", mark)
    aside = Path(f"{shared}.damaged-1")
    aside.mkdir()
    (shared / WEIGHTS).rename(aside / WEIGHTS)
    second = run_to(Path("second"))
    record = json.loads((second / "teacher" / RECORD).read_text())
    assert record["fingerprint"] == mark
    assert Path(f"{shared}.damaged-2", RECORD).exists()
