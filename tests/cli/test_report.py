"""`kdrun report` and the reports that runs and sweeps leave by themselves."""

import os
import re
import time
from pathlib import Path

import pytest
from tiny import TINY, Kdrun, Refused, Told

from kdrun.compare.report.write import write_run_report
from kdrun.core.folder import RunFolder
from kdrun.core.screen import Screen


def test_a_run_leaves_its_report_quickly(kdrun: Kdrun, tmp_path: Path) -> None:
    done = kdrun(*TINY, "name=mine")
    (folder,) = tmp_path.glob("outputs/20*/*")
    html = (folder / "report.html").read_text()
    assert "<h1>mine</h1>" in html
    assert "status finished" in html
    assert html.count("data:image/png") == 12
    assert "report was" not in done.stdout
    started = time.perf_counter()
    write_run_report(RunFolder(folder), Screen())
    assert time.perf_counter() - started < 0.5


def test_a_sweep_leaves_its_report(kdrun: Kdrun, tmp_path: Path) -> None:
    done = kdrun("-m", *TINY, "loss.temperature=1,4", "seed=0,1")
    (path,) = tmp_path.glob("outputs/sweeps/*/*/report.html")
    assert done.stdout.count(f"report: {path.relative_to(tmp_path)}\n") == 1
    html = path.read_text()
    assert "validation-heat" not in html  # a file's name, which is of no use in a page
    assert "Validation accuracy by loss.temperature" in html
    assert len(re.findall(r"kdrun loss\.temperature=|loss\.temperature=4 seed=1", html)) >= 1


@pytest.mark.parametrize("seeds", ["0", "0,1"])
def test_the_report_of_a_sweep_that_failed_says_why(seeds: str, told: Told, tmp_path: Path) -> None:
    words = ("-m", *TINY, "recipe/optimizer=sgd", "recipe.lr=1e12", f"seed={seeds}")
    status, said = told(*words)
    (path,) = tmp_path.glob("outputs/sweeps/*/*/report.html")
    assert (status, "no report was written" in said) == (1, False)
    assert said.count("report: ") == 1
    html = path.read_text()
    assert "the loss term" in html
    path.unlink()
    assert told("report", str(path.parent)) == (0, f"written to {path}\n")
    assert path.exists()


def test_reports_of_runs_and_figures_as_files(kdrun: Kdrun, tmp_path: Path) -> None:
    for seed in (0, 1):
        kdrun(*TINY, f"seed={seed}")
    done = kdrun("report", "outputs/20*/*", "-o", "new/page.html", "--figures", "drawn")
    assert done.stdout == "written to new/page.html\n4 figures in drawn\n"
    drawn = {path.name for path in (tmp_path / "drawn").iterdir()}
    assert drawn == {"settings-curves.svg", "cost-bytes.svg", "cost-macs.svg", "cost-latency.svg"}
    one = next(tmp_path.glob("outputs/20*/*"))
    (one / "report.html").unlink()
    done = kdrun("report", str(one.relative_to(tmp_path)))
    assert (one / "report.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "report: no run is named."),
        (("nothing",), "there is no 'nothing'."),
        ((".",), "no run is in '.', nor below it."),
        (("--format", "gif", "x"), "report: argument --format: invalid choice: 'gif'"),
        (("--colour", "x"), "report: unrecognized arguments: --colour."),
    ],
)
def test_mistakes_are_said_and_nothing_is_written(
    words: tuple[str, ...], said: str, refused: Refused
) -> None:
    assert refused("report", *words, before=()).startswith(said)


def test_files_that_a_user_names_take_the_place_of_plain_files_alone(
    told: Told, tmp_path: Path
) -> None:
    told(*TINY)
    (folder,) = tmp_path.glob("outputs/20*/*")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("kept")
    for words, said in {
        ("report", "-o", "pipe"): "'pipe' is not a regular file, and would be replaced.",
        ("report", "-o", "file/page.html"): "folder 'file' can't be made: File exists.",
        ("report", "-o", "page.html", "--figures", "file"): "folder 'file' can't be made",
        ("compare", "--csv", "pipe"): "'pipe' is not a regular file, and would be replaced.",
        ("compare", "--json", "file/all.json"): "folder 'file' can't be made: File exists.",
    }.items():
        status, found = told(words[0], str(folder), *words[1:])
        assert (status, found.startswith(f"kdrun: {said}")) == (2, True), found
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "file").read_text() == "kept"


def test_several_paths_need_a_place(kdrun: Kdrun, tmp_path: Path) -> None:
    kdrun(*TINY)
    (folder,) = tmp_path.glob("outputs/20*/*")
    done = kdrun("report", str(folder), "outputs", status=2)
    assert "needs a file: -o report.html" in done.stderr
    done = kdrun("report", "outputs", "-o", ".", status=2)
    assert done.stderr.startswith("kdrun: '.' is a folder.\n  name a file: -o report.html")
