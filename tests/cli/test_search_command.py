"""`kdrun search` for real: trials are runs, hopeless ones end early, the winner is told."""

from pathlib import Path

import pytest
from tiny import TINY, Told

from kdrun.core.sweep import SweepFolder

pytest.importorskip("optuna", reason="needs the extra 'search'")

RUN = (*TINY, "recipe.epochs=6")


def only_sweep(root: Path) -> SweepFolder:
    (found,) = root.glob("sweeps/*/*")
    return SweepFolder(found)


def outcome(sweep: SweepFolder) -> list[tuple]:
    return [(job.folder, job.bars, sweep.status(job)) for job in sweep.jobs()]


def test_a_search_shares_its_teacher_prunes_and_goes_on_as_if_never_cut(
    told: Told, tmp_path: Path
) -> None:
    words = ("search", "search.trials=8", *RUN)
    status, said = told(*words, "output_root=whole")
    whole = only_sweep(tmp_path / "whole")
    assert status == 0
    assert {status for *_, status in outcome(whole)} == {"finished", "pruned"}
    found = [whole.run(job).manifest() for job in whole.jobs()]
    assert sum(not one["stages"]["teacher"]["from_store"] for one in found) == 1
    assert set(whole.jobs()[0].differs) == {"loss.temperature", "loss.alpha", "recipe.lr"}
    (line,) = (line for line in said.splitlines() if line.startswith("  kdrun "))
    assert "controls=[]" not in line
    assert "search." not in line
    assert "Its test score was not used to choose it." in said
    pruned = next(job for job in whole.jobs() if whole.status(job) == "pruned")
    assert f"{pruned.folder}" in said
    assert "pruned after epoch " in str(whole.run(pruned).manifest()["error"])
    assert "distill" not in whole.run(pruned).manifest()["stages"]

    assert told(*words, "output_root=cut", fault="step:100:int")[0] == 130
    cut = only_sweep(tmp_path / "cut")
    assert 0 < len(cut.jobs()) < 8
    assert told("resume", str(cut.path))[0] == 0
    assert outcome(cut) == outcome(whole)
    assert told("resume", str(cut.path))[1].startswith(f"{cut.path} is finished")


def test_own_ranges_take_the_place_of_the_ready_ones(told: Told, tmp_path: Path) -> None:
    words = ("loss.temperature=choice(2,4)", "student.hidden=[4],[8]", "search.trials=2")
    assert told("search", *words, *(word for word in RUN if "student.hidden" not in word))[0] == 0
    sweep = only_sweep(tmp_path / "outputs")
    assert [set(job.differs) for job in sweep.jobs()] == [
        {"loss.temperature", "student.hidden"}
    ] * 2


def test_a_failed_trial_ends_no_search(told: Told, tmp_path: Path) -> None:
    status, said = told("search", "search.trials=3", *TINY, fault="step:1:raise")
    found = [status for *_, status in outcome(only_sweep(tmp_path / "outputs"))]
    assert (status, found) == (1, ["failed", "finished", "finished"])
    assert "best on validation: " in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("loss.temprature=interval(1,16)",), "loss.temprature: unknown key"),
        (("loss.temperature=interval(0,16)",), "loss.temperature: 0"),
        (("search.trials=0",), "search.trials: 0 should be greater than 0"),
        (
            ("loss.temperature=interval(16,1)",),
            "loss.temperature: interval(16,1) has its ends in the wrong order: write 1 before 16",
        ),
        (
            ("loss.alpha=tag(log, interval(0, 0.5))", "check=true"),
            "loss.alpha: tag(log, interval(0, 0.5)) is logarithmic and must start above 0",
        ),
        (("loss.temperature=range(4,1)", "check=true"), "range(4,1) holds no value"),
        (("loss.temperature=interval(1,inf)",), "interval(1,inf) has an end that is not a number"),
        (("seed=0,1",), "seed: the best of several seeds is luck"),
        (("student=glob(resnet*)",), "student: a search takes names"),
        (("loss=ce", "search.lr_factor=1"), "there is nothing to search: loss 'ce'"),
    ],
)
def test_what_can_not_be_searched_is_refused(
    words: tuple[str, ...], said: str, told: Told, tmp_path: Path
) -> None:
    status, found = told("search", *TINY, *words)
    assert status == 2
    assert said in found
    assert list(tmp_path.iterdir()) == []


def test_check_says_what_would_be_searched(told: Told, tmp_path: Path) -> None:
    status, said = told("search", *TINY, "check=true")
    assert status == 0
    assert "searched: loss.temperature=tag(log, interval(1, 16))" in said
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_the_extra_is_named(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdrun.cli.search.find_spec", lambda name: None)
    status, said = told("search")
    assert status == 2
    assert "pip install 'kdrun[search]'" in said
