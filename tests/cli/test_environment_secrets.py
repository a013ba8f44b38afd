"""Values of environment variables stand in no file of a run, and a resumed run reads them again."""

import json
import signal
from pathlib import Path

import pytest
from tiny import TINY, Kdrun, Refused, result

SECRETS = {"TOKEN": "hunter2-hunter2", "INNER": "geheimnis", "SET": "digits"}
CONFIG = """\
# @package _global_
tags: ["${oc.env:TOKEN}", "${oc.env:UNSET,${oc.env:INNER}}", "${name}", "${oc.env:UNSET,plain}"]
"""
WORDS = ("--config-dir=conf", "experiment=sent", *TINY)


@pytest.fixture
def sent(tmp_path: Path) -> None:
    """A config file that somebody sent."""
    folder = tmp_path / "conf/experiment"
    folder.mkdir(parents=True)
    (folder / "sent.yaml").write_text(CONFIG)


def files_with_secrets(root: Path) -> list[str]:
    values = [SECRETS[name].encode() for name in ("TOKEN", "INNER")]
    return [
        str(path)
        for path in root.rglob("*")
        if any(value in bytes(path) for value in values)
        or (path.is_file() and any(value in path.read_bytes() for value in values))
    ]


@pytest.mark.usefixtures("sent")
def test_no_file_and_no_line_has_a_secret_and_resume_is_exact(kdrun: Kdrun, tmp_path: Path) -> None:
    words = (*WORDS, "name='x-${oc.env:TOKEN}'")
    kdrun(*words, "output_root=clean", **SECRETS)
    ends = [kdrun(*words, **SECRETS, KDRUN_FAULT="step:9:kill", status=-signal.SIGKILL)]
    (folder,) = tmp_path.glob("outputs/20*/*-x-TOKEN")
    ends.append(kdrun("resume", str(folder), status=2))
    assert "Environment variable 'TOKEN' not found" in ends[-1].stderr
    ends.append(kdrun("resume", str(folder), **SECRETS))
    ends += [kdrun("show", str(folder)), kdrun("compare", str(folder), "clean")]
    ends.append(kdrun(*WORDS, "--cfg", "job", "--resolve", **SECRETS))
    ends.append(
        kdrun(*WORDS, "loss=${oc.env:TOKEN}", "name='${oc.env:INNER}/'", **SECRETS, status=2)
    )
    assert [end.stdout + end.stderr for end in ends if _has_secret(end.stdout + end.stderr)] == []
    assert files_with_secrets(tmp_path) == []
    tags = json.loads((folder / "run.json").read_text())["tags"]
    assert tags == ["${oc.env:TOKEN}", "${oc.env:INNER}", "x-${oc.env:TOKEN}", "plain"]
    (clean,) = tmp_path.glob("clean/20*/*")
    assert result(folder) == result(clean)


def _has_secret(text: str) -> bool:
    return any(SECRETS[name] in text for name in ("TOKEN", "INNER"))


@pytest.mark.usefixtures("sent")
def test_no_file_of_a_sweep_has_a_secret(kdrun: Kdrun, tmp_path: Path) -> None:
    words = ("-m", *WORDS, "recipe.epochs=1", "loss.temperature=1,2", "name='x-${oc.env:TOKEN}'")
    end = kdrun(*words, **SECRETS)
    assert not _has_secret(end.stdout + end.stderr)
    assert files_with_secrets(tmp_path) == []


def test_a_fingerprint_is_of_the_value(kdrun: Kdrun, tmp_path: Path) -> None:
    words = (*TINY, "recipe.epochs=1")
    typed = [*words, "output_root=typed", "student.init=scratch"]
    kdrun(*typed)
    kdrun(*words, "output_root=read", "student.init='${oc.env:START}'", START="scratch")
    records = [
        json.loads(path.read_text())["stages"] for path in sorted(tmp_path.glob("*/20*/*/run.json"))
    ]
    prints = [{name: stage["fingerprint"] for name, stage in each.items()} for each in records]
    assert prints[0] == prints[1]


def test_a_message_about_a_value_has_no_secret(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "hunter2/'\\x")
    said = refused("dataset=imagefolder", "dataset.root='${oc.env:TOKEN}'")
    assert "hunter2" not in said
    assert "${oc.env:TOKEN}" in said
