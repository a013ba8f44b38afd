"""Records of another shape are named by every command that reads them, with status 9."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from report_runs import write_run

from kdrun.cli.main import main
from kdrun.core.errors import DamagedFile, UserError
from kdrun.core.folder import RunFolder
from kdrun.core.metrics_log import MetricsLog
from kdrun.core.sweep import SweepFolder

DEEP = "[" * 100_000
INDEX = {
    "format": 1,
    "command": "kdrun search",
    "words": [],
    "working_folder": ".",
    "launcher": [],
    "at_once": 1,
    "jobs": [],
    "search": {"ranges": {}, "words": [], "trials": 2, "prune": False, "seed": 0},
}


def change(path: Path, keys: tuple[str | int, ...], value: object) -> None:
    """Set a value in a JSON file."""
    record = json.loads(path.read_text())
    node: Any = record
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = value
    path.write_text(json.dumps(record))


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command in this process; return its status and its errors."""
    monkeypatch.setattr(sys, "argv", ["kdrun", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return f"{ended.value.code} {capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("run.json", ("environment",), "linux"),
        ("run.json", ("environment", "packages"), "torch"),
        ("run.json", ("environment", "packages", "torch"), 2),
        ("summary.json", ("rows", 0, "macs"), -1),
        ("summary.json", ("rows", 0, "bytes"), -1),
        ("summary.json", ("rows", 0, "parameters"), 1.5),
    ],
)
def test_a_value_of_another_kind_is_named_in_a_report(
    file: str,
    keys: tuple[str | int, ...],
    value: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_run(tmp_path / "run")
    change(folder / file, keys, value)
    said = told(monkeypatch, capsys, "report", str(folder))
    assert said.startswith("9 kdrun: ")
    assert file in said
    assert repr(".".join(map(str, keys))) in said


@pytest.mark.parametrize(
    "search",
    [[], {}, {**INDEX["search"], "trials": "x"}, {**INDEX["search"], "trials": -1}],  # type: ignore[dict-item]
)
def test_a_search_of_another_shape_is_named(search: object, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps(INDEX))
    assert SweepFolder(tmp_path).size == 2
    (tmp_path / "sweep.json").write_text(json.dumps({**INDEX, "search": search}))
    with pytest.raises(DamagedFile, match="search"):
        _ = SweepFolder(tmp_path).size


def test_a_command_with_an_open_quote_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "run")
    change(folder / "run.json", ("command",), "kdrun seed=3 'open")
    monkeypatch.setattr(sys, "argv", ["kdrun", "show", str(folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "settings: seed=3\n" in capsys.readouterr().out


def test_records_that_nest_too_deep_are_named(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    for name in ("run.json", "metrics.jsonl"):
        (folder / name).write_text(f"{DEEP}\n")
    run = RunFolder(folder)
    with pytest.raises(DamagedFile, match=r"run\.json"):
        run.manifest()
    with pytest.raises(DamagedFile, match=r"metrics\.jsonl"):
        MetricsLog(run.metrics).read()
    (folder / "config.yaml").write_text("a: " + "[" * 3000 + "]" * 3000)
    with pytest.raises(UserError, match="nests its values too deep"):
        run.config()
