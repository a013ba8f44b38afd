"""Damaged run, sweep and store folders: each command ends with a sentence and a known status.

`KDRUN_FUZZ=10000 pytest tests/fuzz` tries so many examples of each fuzzer; without it they are few
and the same each time. A damage that the sums must tell never passes in silence.
"""

import io
import itertools
import json
import shutil
import signal
import sys
import tarfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from damage import Damage, damage_folder, damages
from forked import ROOT
from fuzzer import fuzz
from hypothesis import strategies as st
from report_runs import seal, write_run

from kdrun.cli.main import main
from kdrun.core.sweep import SweepFolder, SweepJob
from kdrun.stage.export import Exporter

OLD = ROOT / "tests" / "fixtures" / "runs_of_0_1_0.tar.xz"
# What a command that reads a folder may end with: done, failed jobs of a sweep, a mistake, a limit,
# storage, in use, no good file.
KNOWN = (0, 2, 3, 4, 5, 9)
_MAX_SECONDS = 60  # a command that takes longer hangs
_RESULTS = ("run.json", "summary.json", "metrics.jsonl", "predictions.npz", "examples.npz")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders that are damaged, by what they are: each is copied before."""
    root = tmp_path_factory.mktemp("folders")
    with tarfile.open(OLD) as archive:
        archive.extractall(root / "old", filter="data")
    (finished,) = root.glob("old/outputs/20*/*-finished")
    (compressed,) = root.glob("old/outputs/20*/*-compressed")
    search = sorted(root.glob("old/outputs/sweeps/*/*/0-recipe.lr=*"))[0].parent
    sealed = seal(write_run(root / "sealed" / "run"))
    sweep = root / "sweep"
    for seed in (0, 1):
        seal(write_run(sweep / f"{seed}-seed={seed}", seed=seed))
    jobs = [
        SweepJob(seed, f"{seed}-seed={seed}", (f"seed={seed}",), {"seed": seed}) for seed in (0, 1)
    ]
    fields: dict[str, Any] = {"command": "kdrun -m seed=0,1", "words": ["-m", "seed=0,1"]}
    fields |= {"launcher": [], "at_once": 1, "working_folder": "."}
    SweepFolder(sweep).write(**fields, jobs=jobs)
    return {
        "before": write_run(root / "before" / "run"),
        "sealed": sealed,
        "sweep": sweep,
        "finished": finished,
        "compressed": compressed,
        "search": search,
    }


@pytest.fixture(autouse=True)
def _networks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Export rebuilds the networks and writes nothing: a file of each would take seconds."""

    def rebuild(self: Exporter, artefacts: Any) -> None:
        for artefact in artefacts.values():
            artefact.network()

    monkeypatch.setattr(Exporter, "export", rebuild)


def command(*words: str) -> tuple[int, str]:
    """Run a command in this process; return its status, and what it printed."""

    def hangs(*_: object) -> None:
        raise TimeoutError("it hangs")

    printed = io.StringIO()
    before, sys.argv = sys.argv, ["kdrun", *words]
    signal.signal(signal.SIGALRM, hangs)
    signal.alarm(_MAX_SECONDS)
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            main()
    except SystemExit as end:
        return int(end.code or 0), printed.getvalue()
    finally:
        signal.alarm(0)
        sys.argv = before
    raise AssertionError("main returned")


VERBS: dict[str, tuple[str, ...]] = {
    "show": (),
    "list": ("runs",),
    "compare": (),
    "report": ("-o", "page.html"),
    "resume": (),
    "export": ("--to", "pt2"),
}
OF_A_RUN = tuple(VERBS)
OF_MANY = ("show", "list", "compare", "report", "resume")


@pytest.mark.parametrize(
    ("kind", "verbs"),
    [
        ("before", ("show", "list", "compare", "report", "resume")),
        ("sealed", ("show", "list", "compare", "report", "resume")),
        ("finished", OF_A_RUN),
        ("compressed", OF_A_RUN),
        ("sweep", OF_MANY),
        ("search", OF_MANY),
    ],
)
def test_a_damaged_folder_ends_a_command_with_a_sentence(
    kind: str,
    verbs: tuple[str, ...],
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    numbers = itertools.count()

    def end_of(example: tuple[str, Damage]) -> str:
        verb, damage = example
        folder = tmp_path / str(next(numbers)) / folders[kind].name
        shutil.copytree(folders[kind], folder)
        path = damage_folder(folder, damage)
        original = folders[kind] / path.relative_to(folder)
        status, said = command(
            verb, *VERBS[verb][:1] * (verb == "list"), str(folder), *VERBS[verb] * (verb != "list")
        )
        reason = wrong_end(status, said)
        must_tell = kind == "sealed" and damage.sums == "kept" and reads(verb, path.name)
        if not reason and must_tell and differs(original, path):
            told = status == 9 or "damaged" in said or "none of these runs" in said
            reason = "" if told else f"a changed {path.name} passed {verb} in silence"
        shutil.rmtree(folder.parent)
        return reason

    count, wrong = fuzz(st.tuples(st.sampled_from(verbs), damages()), end_of, share=0.1)
    assert not wrong, f"{len(wrong)} wrong ends of {count}: {wrong}"


def wrong_end(status: int, said: str) -> str:
    """Return what is wrong with the end of a command; empty if nothing is."""
    if "this is a fault of kdrun" in said or "Traceback" in said:
        return said[said.index("kdrun: ") :][:300]
    return "" if status in KNOWN else f"status {status}: {said[-300:]}"


def reads(verb: str, name: str) -> bool:
    """Return whether a command reads a file of results: lists read two records of each run.

    A comparison of a single run has no need of its predictions.
    """
    return name in (_RESULTS[:2] if verb in ("list", "compare") else _RESULTS)


def differs(original: Path, path: Path) -> bool:
    """Return whether the content of a file is another, whatever its white space."""
    if path.is_symlink() or not path.is_file():
        return True
    contents = original.read_bytes(), path.read_bytes()
    try:
        left, right = map(json.loads, contents)
    except ValueError:
        left, right = contents
    return bool(left != right)
