"""A search's next settings follow from its sweep folder alone."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.synthetic_runs import write_run
from kdrun.core.screen import Screen
from kdrun.core.sweep import SweepFolder
from kdrun.sweep.runner import _print_outcome
from kdrun.sweep.trials import Search, add_trials, best_trial, describe_best

pytest.importorskip("optuna", reason="needs the extra 'search'")

SEARCH = Search(
    ranges={
        "loss.temperature": "tag(log, interval(1, 16))",
        "recipe.batch_size": "int(interval(16, 64))",
        "loss": "choice(kd,dkd)",
    },
    words=["teacher=mlp", "controls=[]"],
    trials=12,
    prune=True,
    seed=0,
)
Score = Callable[[dict], float]


def near_four(differs: dict) -> float:
    return 1 / (1 + abs(differs["loss.temperature"] - 4))


def new_search(root: Path, search: Search = SEARCH, at_once: int = 1) -> SweepFolder:
    root.mkdir(parents=True)
    sweep = SweepFolder(root)
    sweep.write(
        command="kdrun search",
        words=[],
        working_folder="",
        launcher=[],
        at_once=at_once,
        search=asdict(search),
        jobs=[],
    )
    return sweep


def finish(sweep: SweepFolder, score: Score, status: str = "finished", epochs: int = 6) -> None:
    """Write what the jobs that were not started yet would have left."""
    for job in sweep.jobs():
        run = sweep.run(job)
        if run.is_run:
            continue
        accuracy = score(dict(job.differs))
        write_run(run.path, rows=["distilled"], manifest={"status": status}, predictions=False)
        line = {"stage": "distill", "phase": "main", "split": "validation"}
        curve = [
            {**line, "epoch": epoch, "step": epoch, "accuracy": accuracy * epoch / epochs}
            for epoch in range(1, epochs + 1)
        ]
        (run.stage("student") / "metrics.jsonl").write_text(
            "".join(json.dumps(one) + "\n" for one in curve)
        )
        (run.path / "student/artefact.json").write_text(
            json.dumps({"validation": {"accuracy": accuracy}})
        )
        summary = run.summary()
        assert summary is not None
        summary["rows"][0]["accuracy"] = 1 - accuracy
        run.write_summary(summary)


def run_search(root: Path, search: Search = SEARCH, score: Score = near_four) -> SweepFolder:
    sweep = new_search(root, search)
    while add_trials(sweep):
        finish(sweep, score)
    return sweep


def settings_of(sweep: SweepFolder) -> list[dict]:
    return [dict(job.differs) for job in sweep.jobs()]


def test_the_same_search_tries_the_same_settings(tmp_path: Path) -> None:
    first = run_search(tmp_path / "a")
    assert settings_of(run_search(tmp_path / "b")) == settings_of(first)
    assert len(settings_of(first)) == 12
    other = run_search(tmp_path / "c", replace(SEARCH, seed=1))
    assert settings_of(other) != settings_of(first)


def test_settings_are_within_their_ranges_and_typed_as_words(tmp_path: Path) -> None:
    for job in run_search(tmp_path / "a").jobs():
        setting = dict(job.differs)
        assert 1 <= setting["loss.temperature"] <= 16
        assert setting["recipe.batch_size"] in range(16, 65)
        assert setting["loss"] in ("kd", "dkd")
        assert job.words[:2] == ("teacher=mlp", "controls=[]")
        assert f"loss.temperature={setting['loss.temperature']:g}" in job.words


def test_a_search_is_resumed_from_its_folder_alone(tmp_path: Path) -> None:
    complete = run_search(tmp_path / "complete")
    cut = new_search(tmp_path / "cut")
    for _ in range(8):
        add_trials(cut)
        finish(cut, near_four)
    shutil.copytree(cut.path, tmp_path / "elsewhere")
    again = SweepFolder(tmp_path / "elsewhere")
    while add_trials(again):
        finish(again, near_four)
    assert settings_of(again) == settings_of(complete)


def test_later_trials_learn_from_earlier_ones(tmp_path: Path) -> None:
    def far(differs: dict) -> float:
        return 1 - near_four(differs)

    search = replace(SEARCH, trials=9)
    near, other = (
        settings_of(run_search(tmp_path / name, search, score))
        for name, score in {"near": near_four, "far": far}.items()
    )
    assert near[:6] == other[:6]  # at random
    assert near[6:] != other[6:]


def test_as_many_trials_are_added_as_run_together(tmp_path: Path) -> None:
    sweep = new_search(tmp_path / "a", at_once=5)
    sizes = []
    while add_trials(sweep):
        sizes.append(len(sweep.jobs()))
        finish(sweep, near_four)
    assert sizes == [5, 10, 12]
    assert len({job.folder for job in sweep.jobs()}) == 12


def test_bars_are_the_median_of_the_finished_trials(tmp_path: Path) -> None:
    sweep = new_search(tmp_path / "a", at_once=4)
    add_trials(sweep)
    assert sweep.jobs()[0].bars == ()
    scores = iter([0.2, 0.4, 0.6, 0.8])
    finish(sweep, lambda differs: next(scores))
    add_trials(sweep)
    bars = sweep.jobs()[-1].bars
    assert [bar and round(bar, 6) for bar in bars] == [
        None, *(round(0.5 * epoch / 6, 6) for epoch in (2, 3, 4, 5)), None
    ]  # fmt: skip
    finish(sweep, near_four, status="pruned")
    add_trials(sweep)
    assert sweep.jobs()[-1].bars == bars  # pruned ones don't count


def test_there_are_no_bars_between_trials_of_other_lengths_nor_when_unwanted(
    tmp_path: Path,
) -> None:
    sweep = new_search(tmp_path / "a", at_once=4)
    add_trials(sweep)
    finish(sweep, near_four)
    add_trials(sweep)
    finish(sweep, near_four, epochs=7)
    add_trials(sweep)
    assert [bool(job.bars) for job in sweep.jobs()] == [False] * 4 + [True] * 4 + [False] * 4
    off = run_search(tmp_path / "b", replace(SEARCH, prune=False))
    assert not any(job.bars for job in off.jobs())


def test_the_best_is_chosen_on_validation_never_on_test(tmp_path: Path) -> None:
    sweep = run_search(tmp_path / "a")  # whose test figure is 1 - accuracy
    best = best_trial(sweep)
    assert best is not None
    assert near_four(dict(best.differs)) == max(map(near_four, settings_of(sweep)))
    lines = describe_best(sweep).splitlines()
    accuracy = near_four(dict(best.differs))
    assert lines[0].endswith(f"{best.folder}, {accuracy:.2%} (test {1 - accuracy:.2%})")
    assert lines[1].startswith("  kdrun teacher=mlp loss.temperature=")
    assert lines[2].startswith("Its test score was not used to choose it.")


def test_a_search_whose_first_trials_all_fail_ends_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = new_search(tmp_path / "a")
    while add_trials(sweep):
        finish(sweep, near_four, status="failed")
    assert len(sweep.jobs()) == 5
    _print_outcome(sweep, Screen())
    assert "the search has ended, as all of its first 5 trials failed" in capsys.readouterr().out


@pytest.mark.parametrize("failed", [1, 4])
def test_a_failed_trial_counts_as_tried_and_others_follow(failed: int, tmp_path: Path) -> None:
    sweep = new_search(tmp_path / "a")
    while add_trials(sweep):
        finish(sweep, near_four, status="failed" if len(sweep.jobs()) <= failed else "finished")
    assert [sweep.status(job) for job in sweep.jobs()].count("failed") == failed
    assert len(sweep.jobs()) == 12


def test_no_trial_is_added_while_one_waits_that_was_not_started(tmp_path: Path) -> None:
    sweep = new_search(tmp_path / "a")
    assert add_trials(sweep)
    assert not add_trials(sweep)


def test_the_best_is_told_also_where_a_trial_has_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = run_search(tmp_path / "a", replace(SEARCH, trials=3))
    sweep.run(sweep.jobs()[1]).update(status="failed", error="no luck")
    _print_outcome(sweep, Screen())
    said = capsys.readouterr().out
    assert ": 2 of 3 jobs finished, 1 failed" in said
    assert "best on validation: " in said
    assert f"kdrun resume {sweep.path}" in said
