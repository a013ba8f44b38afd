"""Folders whose files are damaged, seen through the command: a sentence and a known status."""

import json
from pathlib import Path

import pytest
from edits import edit_json
from report_runs import seal, write_run
from tiny import TINY, Told


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
    assert alone or "damaged" in said or "left out" in said


def test_a_name_with_newlines_forges_no_lines(tmp_path: Path, told: Told) -> None:
    folder = write_run(tmp_path / "runs" / "a", name="x\nkdrun: forged")
    write_run(tmp_path / "runs" / "b", status="failed\nkdrun: forged", seed=1)
    rows = json.loads((folder / "summary.json").read_text())["rows"]
    rows[2]["model"] = "distilled\nkdrun: forged"
    edit_json(folder / "summary.json", rows=rows)
    for words in (("show", str(folder)), ("list", "runs", "runs"), ("compare", "runs")):
        status, said = told(*words)
        assert status == 0
        assert "forged" in "".join(said.split())
        assert not [line for line in said.splitlines() if line.strip().startswith("kdrun: forged")]


VERBS = [("show",), ("report",), ("resume",), ("export", "--to", "pt2"), ("sensitivity",)]
CHANGES = {
    "summary.json": ('"accuracy": 0.9,', '"accuracy": 0.9309,'),
    "run.json": ('"temperature": 4.0', '"temperature": 2.0'),
    "metrics.jsonl": ('"ce": 2.0', '"ce": 0.2'),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_figure_is_told_by_every_command_that_reads_it(
    name: str, tmp_path: Path, told: Told
) -> None:
    folder = seal(write_run(tmp_path / "runs" / "bad"))
    seal(write_run(tmp_path / "runs" / "good", seed=1))
    assert told("show", str(folder))[0] == told("report", str(folder))[0] == 0
    before, after = CHANGES[name]
    text = (folder / name).read_text()
    assert before in text
    (folder / name).write_text(text.replace(before, after, 1))
    for verb, *words in VERBS:
        status, said = told(verb, str(folder), *words)
        assert (status, "Traceback" in said) == (9, False), said
        assert f"{name}' is not what" in said
    page = str(tmp_path / "page.html")
    for *verb, words in (("list", "runs", ()), ("compare", ()), ("report", ("-o", page))):
        status, said = told(*verb, str(folder.parent), *words)  # type: ignore[misc]
        assert status == 0
        if name != "metrics.jsonl" or "report" in verb:
            said += Path(page).read_text() if "report" in verb else ""
            assert "isnotwhat" in "".join(said.split())
            assert "report" in verb or "runs/good" in said or "1 run" in said


def test_predictions_that_are_gone_are_told(tmp_path: Path, told: Told) -> None:
    folder = seal(write_run(tmp_path / "run"))
    (folder / "predictions.npz").unlink()
    for verb in ("show", "report", "resume"):
        status, said = told(verb, str(folder))
        assert status == 9
        assert "predictions.npz' is not what its run wrote" in said


def test_a_run_that_all_users_can_write_is_resumed_if_it_is_trusted(
    tmp_path: Path, told: Told
) -> None:
    folder = write_run(tmp_path / "run", status="interrupted")
    folder.chmod(0o777)
    status, said = told("resume", str(folder))
    assert status == 2
    assert said.endswith(f"  if you trust what is there: kdrun resume {folder} --trust\n")
    status, said = told("resume", str(folder), "--trust")
    assert "can be written by all users" not in said


@pytest.mark.parametrize("name", [".hydra", ".hydra/config.yaml"])
def test_a_link_in_a_folder_that_the_command_names_is_not_followed(
    name: str, tmp_path: Path, told: Told
) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/config.yaml").write_text("precious")
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).symlink_to(tmp_path / "precious" / Path(name).relative_to(".hydra"))
    status, said = told(*TINY, "hydra.run.dir=out")
    assert status == 2, said
    assert f"{name}' is a symbolic link" in said
    assert (tmp_path / "precious/config.yaml").read_text() == "precious"
    assert len(list((tmp_path / "precious").iterdir())) == 1


def test_a_home_of_nobody_is_a_folder_that_is_missing(tmp_path: Path, told: Told) -> None:
    for words in (
        ("dataset=imagefolder", "dataset.root='~nobody_x/y'"),
        ("scheme=concepts", "scheme.map='~nobody_x'"),
    ):
        status, said = told(*TINY, *words, "check=true")
        assert status == 2
        assert "~nobody_x" in said, said
        assert "fault of kdrun" not in said
