"""Lines, estimates, fronts, choices, tests and their sentences, on made-up runs and by scipy."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmarks.synthetic_runs import write_run
from kdrun.compare.comparison import Comparison, ComparisonTable, compare
from kdrun.compare.gather import gather
from kdrun.compare.metrics import metrics_of
from kdrun.compare.query import Query
from kdrun.compare.test_results import SignificanceTest
from kdrun.core.errors import UserError
from kdrun.core.records.summary import StepComparison

KEY = "loss.temperature"


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, seeds: int | tuple[int, ...] = 4, told: Any = None, **values: Any) -> None:
    """Runs of a setting; `loss__alpha` is loss.alpha."""
    keys = {key.replace("__", "."): value for key, value in values.items()}
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        count = len(list(folder.iterdir())) if folder.exists() else 0
        write_run(folder / str(count), {"seed": seed, **keys}, **(told or {}))


def compared(**asked: Any) -> Comparison:
    return compare(gather(["."]), Query(**asked))


def only(**asked: Any) -> ComparisonTable:
    (family,) = compared(**asked).tables
    return family


def accuracies(family: ComparisonTable, row: str = "distilled") -> Iterator[np.ndarray]:
    for setting in family.settings:
        yield np.array([run.rows[row]["accuracy"] for run in setting.runs.values()])


def claims(family: ComparisonTable, about: str) -> list[SignificanceTest]:
    return [claim for claim in family.results if claim.about == about]


def rewrite(folder: Path, change: Any) -> None:
    """Change each row of summaries by `change(row, seed)`."""
    for path in folder.rglob("summary.json"):
        seed = json.loads((path.parent / "run.json").read_text())["seed"]
        tree = json.loads(path.read_text())
        for row in tree["rows"]:
            change(row, seed)
        path.write_text(json.dumps(tree))


def test_teacher_and_control_that_settings_share_stand_once(here):
    write(here / "a", loss__temperature=1)
    write(here / "a", loss__temperature=4)
    family = only()
    told = [(line.model, line.values.get(KEY), list(line.rows)) for line in family.lines]
    seeds = [0, 1, 2, 3]
    assert told == [
        ("teacher", None, seeds),
        ("alone", None, seeds),
        ("distilled", 1, seeds),
        ("distilled", 4, seeds),
    ]
    assert len(family.lines[0].settings) == 2
    assert [line.values[KEY] for line in family.judged] == [1, 4]


def test_runs_of_before_and_after_a_correction_are_two_settings(here):
    """Of an objective that computes other values now, runs are never averaged together."""
    write(here / "before", seeds=(0, 1))
    write(here / "after", seeds=(2, 3))
    for path in (here / "after").rglob("run.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "revisions": {"DIST": 2}}))
    family = only()
    assert sorted([*setting.runs] for setting in family.settings) == [[0, 1], [2, 3]]


def test_a_shared_control_has_the_seeds_of_all(here):
    write(here / "a", (0, 1), loss__temperature=1)
    write(here / "a", (1, 2), loss__temperature=4)
    family = only()
    assert list(family.lines[1].rows) == [0, 1, 2]
    assert any("different seeds" in note for note in family.notes)


def test_a_shared_row_is_taken_from_the_runs_that_have_it(here):
    write(here / "a", (0,), loss__temperature=1)
    write(here / "a", (1,), told={"rows": ("teacher", "distilled")}, loss__temperature=1)
    write(here / "a", (0, 1), loss__temperature=4)
    (line,) = (line for line in only().lines if line.model == "alone")
    assert (len(line.settings), list(line.rows)) == (2, [0, 1])


def test_a_teacher_that_is_another_one_for_a_single_seed_is_not_shared(here):
    write(here / "a", (0,), loss__temperature=1)
    write(here / "a", (0, 1), loss__temperature=2)
    write(here / "b", (0, 1), loss__temperature=4)
    rewrite(here / "b", lambda row, seed: row.update(fingerprint=f"x{seed}") if seed else None)
    lines = [line for line in only().lines if line.model == "teacher"]
    assert [len(line.settings) for line in lines] == [2, 1]


def test_teachers_that_are_not_the_same_stand_apart(here):
    write(here / "a", 1, recipe__lr=1.0)
    write(here / "a", 1, recipe__lr=2.0)
    (here / "a" / "multirun.yaml").touch()
    family = only()
    models = [(line.model, line.values["recipe.lr"]) for line in family.lines]
    assert models[:2] == [("teacher", 1), ("teacher", 2)]


def test_estimates_are_means_over_seeds_with_students_interval(here):
    write(here / "a", 5)
    family = only()
    (own,) = accuracies(family)
    found = family.judged[0].estimates["accuracy"]
    low, high = stats.t.interval(0.95, 4, own.mean(), stats.sem(own))
    assert (found.n, found.mean) == (5, pytest.approx(own.mean()))
    assert (found.deviation, found.low, found.high) == pytest.approx((own.std(ddof=1), low, high))


def test_the_two_epochs_are_never_mixed(here):
    write(here / "a", loss__temperature=1)
    write(here / "a", told={"summary": {"epoch": "best"}}, loss__temperature=4)
    last, best = only().judged
    assert last.estimates["accuracy"].mean - 0.002 == pytest.approx(
        last.estimates["best_accuracy"].mean
    )
    assert last.estimates["best_validation"].mean - 0.001 == pytest.approx(
        last.estimates["validation"].mean
    )
    assert "accuracy" not in best.estimates
    assert "validation" not in best.estimates
    rows = best.rows.values()
    expected = np.mean([row["accuracy"] for row in rows])
    assert best.estimates["best_accuracy"].mean == pytest.approx(expected)
    expected = np.mean([row["validation"]["accuracy"] for row in rows])
    assert best.estimates["best_validation"].mean == pytest.approx(expected)
    assert only().metric == "best_accuracy"


def test_figures_that_are_no_numbers_are_in_no_mean_and_said(here):
    write(here / "a")
    rewrite(here / "a", lambda row, seed: row.update(nll=None if seed == 1 else 0.5))
    family = only()
    assert family.judged[0].estimates["nll"].n == 3
    assert "NLL of distilled is missing or not a number in 1 of 4 runs" in " ".join(family.notes)


def test_validation_chooses_and_test_does_not(here):
    write(here / "a", loss__temperature=1)
    write(here / "a", loss__temperature=4)
    worse = {"accuracy": 0.1, "f1": 0.1, "nll": 1, "ece": 0}
    rewrite(here / "a", lambda row, seed: row.update(validation={**worse, "accuracy": 0.9}))
    for path in here.rglob("summary.json"):
        config = json.loads((path.parent / "run.json").read_text())["config"]
        tree = json.loads(path.read_text())
        chosen = config["loss"]["temperature"] == 1
        tree["rows"][2]["accuracy"] = 0.5 + tree["rows"][2]["accuracy"] / 100 if chosen else 0.99
        tree["rows"][2]["validation"]["accuracy"] = 0.91 if chosen else 0.9
        path.write_text(json.dumps(tree))
    choice = only().choice
    assert choice.setting.values == {KEY: 1}
    assert choice.by == "validation"
    assert choice.sentence.startswith(
        "Validation chooses loss.temperature=1: validation top-1 of the last epoch is 91.00 %"
    )
    assert "Its top-1 of the last epoch is 50." in choice.sentence
    assert choice.sentence.endswith("4 seeds; the test split chose nothing.")


def test_settings_that_validate_alike_are_said_to(here):
    for temperature in (1, 2, 4):
        write(here / "a", 2, loss__temperature=temperature)
    rewrite(here / "a", lambda row, seed: row["validation"].update(accuracy=0.9))
    choice = only().choice
    assert choice.setting.values == {KEY: 1}
    assert "as much as 2 others; it is the first of them" in choice.sentence


def test_older_runs_without_validation_choose_nothing(here):
    write(here / "a", loss__temperature=1)
    write(here / "a", told={"validation": False}, loss__temperature=4)
    write(here / "a", told={"validation": False}, loss__temperature=8)
    family = only()
    assert family.choice.setting is None
    assert "Nothing is chosen: 2 of 3 settings have no validation top-1" in family.choice.sentence
    assert not claims(family, "chosen")
    assert only(baseline={KEY: ["1"]}).results


def test_the_best_epoch_on_test_is_chosen_for_by_the_best_on_validation(here):
    write(here / "a", 2, loss__temperature=1)
    write(here / "a", 2, loss__temperature=4)
    choice = only(metric="best_accuracy").choice
    assert choice.by == "best_validation"
    assert "validation top-1 of the best epoch is" in choice.sentence


@pytest.mark.parametrize("metric", ["f1", "nll", "agreement", "bytes"])
def test_other_metrics_are_chosen_for_by_validation_accuracy(here, metric):
    write(here / "a", 2, loss__temperature=1)
    write(here / "a", 2, loss__temperature=4)
    choice = only(metric=metric).choice
    assert choice.by == "validation"
    assert choice.tested.mean == pytest.approx(
        next(
            line.estimates[metric].mean
            for line in only(metric=metric).judged
            if line.settings[0] is not None and line.values == choice.setting.values
        )
    )


def test_gains_over_the_control_are_paired_by_seed(here):
    write(here / "a", 5)
    family = only()
    (own,), (control,) = accuracies(family), accuracies(family, "alone")
    (claim,) = claims(family, "control")
    expected = stats.ttest_rel(own, control)
    interval = expected.confidence_interval(0.95)
    assert claim.difference == pytest.approx((own - control).mean())
    assert claim.p == pytest.approx(expected.pvalue)
    assert claim.interval == pytest.approx((interval.low, interval.high))
    assert (claim.left, claim.right, claim.pairs) == ("distilled", "alone", "seeds")
    low, high = claim.drawn
    assert claim.interval[0] < low < claim.difference < high < claim.interval[1]
    assert any("bootstrap of few seeds is too narrow" in note for note in family.notes)


def test_the_chosen_setting_is_held_against_each_other_one_with_holms_correction(here):
    for temperature in (1, 2, 4, 8):
        write(here / "a", loss__temperature=temperature)
    family = only()
    chosen = claims(family, "chosen")
    assert {claim.left for claim in chosen} == {family.choice.setting.label}
    assert len(chosen) == 3
    chances = [claim.p for claim in chosen]
    order = np.argsort(chances)
    raised = np.maximum.accumulate([min(1, (3 - at) * chances[i]) for at, i in enumerate(order)])
    found = [chosen[i].p_of_all for i in order]
    assert found == pytest.approx(list(raised))
    assert all("after Holm's correction for 3" in claim.sentence for claim in chosen)
    assert all("correction for 4" in claim.sentence for claim in claims(family, "control"))


def far_apart(here: Path, seeds: int = 4) -> None:
    write(here / "a", seeds, told={"merits": {"distilled": 0.9}}, loss__temperature=1)
    write(here / "a", seeds, told={"merits": {"distilled": 0.3}}, loss__temperature=4)


def test_a_difference_that_is_found_is_told_in_one_sentence(here):
    far_apart(here)
    (claim,) = claims(only(), "chosen")
    assert claim.is_evidence
    low, high = claim.interval_text(claim.interval).replace("+", "").split(" to ")
    difference = claim.difference_text.removeprefix("+")
    assert claim.sentence.startswith(
        f"loss.temperature=1 is better than loss.temperature=4 by {difference} points,"
        f" 95 % interval {low} to {high} (bootstrap "
    )
    assert "4 seeds, Student's paired t test, p <0.001." in claim.sentence


def test_what_is_worse_is_told_without_minus_signs(here):
    far_apart(here)
    (claim,) = claims(only(baseline={KEY: ["1"]}), "baseline")
    assert claim.difference < 0
    assert "loss.temperature=4 is worse than loss.temperature=1 by" in claim.sentence
    assert "-" not in claim.sentence
    low, high = (abs(end) * 100 for end in sorted(claim.interval, key=abs))
    assert f"95 % interval {low:.2f} to {high:.2f}" in claim.sentence


def test_of_a_metric_that_should_be_small_less_is_better(here):
    far_apart(here)
    (claim,) = claims(only(metric="nll"), "chosen")
    assert claim.difference < 0
    assert claim.sentence.startswith("loss.temperature=1 is better than loss.temperature=4 by 0.")
    assert " nats," in claim.sentence
    rewrite(here / "a", lambda row, seed: row.update(agreement=row["accuracy"]))
    (claim,) = claims(only(metric="agreement"), "chosen")
    assert "loss.temperature=1 is above loss.temperature=4 by" in claim.sentence


def test_no_evidence_is_no_claim(here):
    write(here / "a", loss__temperature=1)
    write(here / "a", loss__temperature=4)
    rewrite(here / "a", lambda row, seed: row.update(accuracy=0.8))
    tilt_first(here)
    (claim,) = claims(only(), "chosen")
    assert not claim.is_evidence
    assert claim.sentence.startswith("No evidence that loss.temperature=")
    assert "+0.00 points" in claim.sentence


def tilt_first(here: Path) -> None:
    """Of temperature 1, the distilled model is by turns better and worse: in the mean as good."""
    for run in gather(["."]).runs:
        if run.config[KEY] == 1:
            run.summary["rows"][2]["accuracy"] += 0.01 * (-1) ** run.seed - 1e-9
            (run.path / "summary.json").write_text(json.dumps(run.summary))


def test_what_does_not_differ_in_any_seed_is_said_so(here):
    write(here / "a", loss__temperature=1)
    write(here / "a", loss__temperature=4)
    rewrite(here / "a", lambda row, seed: row.update(accuracy=0.8 + (seed % 2) / 100))
    (claim,) = claims(only(), "chosen")
    assert claim.p is None
    assert claim.sentence.endswith(": they do not differ in any of 4 seeds.")


def test_a_metric_that_should_be_small_is_chosen_for_and_counted_ones_have_no_interval(here):
    write(here / "a", 3, loss__temperature=1)
    write(here / "a", 3, loss__temperature=4)
    assert ". Its bytes: 2.74 k; the test split chose" in only(metric="bytes").choice.sentence
    assert ". Its latency: 0.050 ms; " in only(metric="latency").choice.sentence
    assert " nats, 95 % interval 0." in only(metric="nll").choice.sentence


def test_shares_have_no_interval_beyond_0_and_100(here):
    write(here / "a", (0, 1), loss__temperature=1)
    write(here / "a", (0, 1), loss__temperature=4)
    rewrite(here / "a", lambda row, seed: row.update(accuracy=0.9 if seed else 0.5))
    assert "95 % interval 0.00 to 100.00" in only().choice.sentence


def test_settings_are_chosen_on_the_seeds_that_all_have(here):
    write(here / "a", (0, 1, 2), loss__temperature=1)
    write(here / "a", (0,), loss__temperature=8)

    def lucky(row: dict[str, Any], seed: int) -> None:
        row["validation"]["accuracy"] = 0.5 if seed else 0.9

    rewrite(here / "a", lucky)
    for run in gather(["."]).runs:
        if run.config[KEY] == 8:
            run.summary["rows"][2]["validation"]["accuracy"] = 0.8
            (run.path / "summary.json").write_text(json.dumps(run.summary))
    choice = only().choice
    assert choice.setting.values == {KEY: 1}
    assert (choice.chosen.n, choice.chosen.mean) == (1, 0.9)
    assert "chooses loss.temperature=1 on the seeds that all have: valid" in choice.sentence


def test_without_a_common_seed_nothing_is_chosen(here):
    write(here / "a", (0, 1), loss__temperature=1)
    write(here / "a", (2, 3), loss__temperature=4)
    choice = only().choice
    assert choice.setting is None
    assert "Nothing is chosen: the settings have no seed in common" in choice.sentence


def test_single_runs_of_two_seeds_are_not_tested(here):
    write(here / "a", (0,), loss__temperature=1)
    write(here / "a", (1,), loss__temperature=8)
    family = only()
    (claim,) = claims(family, "pair")
    assert claim.p is None
    assert "they have seed 0 and seed 1, none in common, and another seed" in claim.sentence
    assert "Settings have different seeds" in " ".join(family.notes)


def test_of_one_common_seed_its_two_runs_are_compared(here):
    write(here / "a", (0, 1, 2), told={"merits": {"distilled": 0.9}}, loss__temperature=1)
    write(here / "a", (2, 3, 4), told={"merits": {"distilled": 0.7}}, loss__temperature=4)
    (claim,) = claims(only(), "chosen")
    assert (claim.test, claim.pairs, claim.seed) == ("McNemar's exact test", "samples", 2)
    assert "one run each, of seed 2: no claim about the method" in claim.sentence


def test_runs_that_know_the_same_samples_are_said_to(here):
    two_runs(here)
    path = here / "a" / "0" / "predictions.npz"
    (here / "a" / "1" / "predictions.npz").write_bytes(path.read_bytes())
    (claim,) = claims(only(), "chosen")
    assert (claim.p, claim.interval) == (None, None)
    assert "of seed 0, both are right on the same ones of 360 test samples" in claim.sentence


@pytest.mark.parametrize("metric", ["validation", "best_validation"])
def test_the_figure_that_chose_is_not_tested_on(here, metric):
    write(here / "a", loss__temperature=1)
    write(here / "a", loss__temperature=4)
    family = only(metric=metric, by=KEY)
    assert family.choice.by == metric
    assert (family.results, family.marginal.results) == ([], [])
    assert "too good for the one they choose: no test" in " ".join(family.notes)
    assert family.choice.sentence.count("validation top-1") == 1
    assert "chose nothing" not in family.choice.sentence


def test_a_difference_of_nothing_has_no_minus():
    claim = SignificanceTest("chosen", "a", "b", metrics_of({})["accuracy"], difference=-1e-6)
    assert claim.difference_text == "+0.00"


def test_what_the_correction_takes_away_is_said_so():
    claim = SignificanceTest(
        "chosen", "a", "b", metrics_of({})["accuracy"], "t", "seeds", (5, 5), 0.01,
        (0.001, 0.019), (0.002, 0.018), p=0.03, p_of_all=0.3, together=10,
    )  # fmt: skip
    assert claim.sentence == (
        "No evidence, once 10 tests are corrected for, that a differs from b: +1.00 points, 95 %"
        " interval +0.10 to +1.90 (bootstrap +0.20 to +1.80), 5 seeds, t, p 0.030 (0.300 after"
        " Holm's correction for 10)."
    )


def test_seeds_that_are_not_shared_are_compared_unpaired_and_said_so(here):
    write(here / "a", (0, 1, 2), loss__temperature=1)
    write(here / "a", (3, 4, 5, 6), loss__temperature=4)
    family = only()
    (claim,) = claims(family, "pair")
    own, other = accuracies(family)
    assert claim.p == pytest.approx(stats.ttest_ind(own, other, equal_var=False).pvalue)
    assert claim.test == "Welch's t test"
    assert f"{len(own)} and {len(other)} seeds, not paired" in claim.sentence


def test_only_seeds_that_both_have_are_paired(here):
    write(here / "a", (0, 1, 2), loss__temperature=1)
    write(here / "a", (1, 2, 3), loss__temperature=4)
    (claim,) = claims(only(), "chosen")
    assert (claim.pairs, claim.counts) == ("seeds", (2, 2))


def test_differences_that_are_all_alike_leave_no_spread_to_test_with(here):
    write(here / "a", 2, loss__temperature=1)
    write(here / "a", 2, loss__temperature=4)
    for path in here.rglob("summary.json"):
        tree = json.loads(path.read_text())
        temperature = json.loads((path.parent / "run.json").read_text())["config"]["loss"]
        tree["rows"][2]["accuracy"] = 0.5 if temperature["temperature"] == 1 else 0.75
        path.write_text(json.dumps(tree))
    (claim,) = claims(only(), "chosen")
    assert claim.p is None
    assert "they differ by the same amount in each of 2 seeds" in claim.sentence


def two_runs(here: Path, **told: Any) -> None:
    write(here / "a", 1, told={"merits": {"distilled": 0.9}}, loss__temperature=1)
    write(here / "a", 1, told={"merits": {"distilled": 0.8}, **told}, loss__temperature=4)


def right(run: int) -> np.ndarray:
    stored = np.load(f"a/{run}/predictions.npz")
    return stored["distilled/predicted"] == stored["target"]


def test_two_single_runs_are_compared_by_their_answers(here):
    two_runs(here)
    family = only()
    (claim,) = claims(family, "chosen")
    own, other = (right(0), right(1)) if family.choice.setting.values[KEY] == 1 else (
        right(1), right(0)
    )  # fmt: skip
    won, lost = int((own & ~other).sum()), int((other & ~own).sum())
    assert claim.p == pytest.approx(stats.binomtest(won, won + lost).pvalue)
    assert claim.difference == pytest.approx(own.mean() - other.mean())
    low, high = claim.drawn
    assert low < claim.difference < high
    assert claim.interval is None
    assert not any("bootstrap" in note for note in family.notes)
    assert "by the bootstrap, 360 test samples, McNemar's exact test" in claim.sentence
    assert claim.sentence.endswith("no claim about the method beyond these two runs.")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("index", "their test samples are not the same"),
        ("target", "their test samples are not the same"),
        ("gone", "can't be read"),
        ("torn", "can't be read"),
        ("row", "can't be read"),
        ("short", "not one for each sample"),
    ],
)
def test_answers_to_other_samples_are_not_compared(here, damage, said):
    two_runs(here)
    path = here / "a" / "1" / "predictions.npz"
    arrays = dict(np.load(path))
    if damage in ("index", "target"):
        arrays[damage] = arrays[damage] + 1
    arrays.pop("distilled/predicted" if damage == "row" else "") if damage == "row" else None
    if damage == "short":
        arrays["distilled/predicted"] = arrays["distilled/predicted"][:5]
    np.savez_compressed(path, **arrays)
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    if damage == "gone":
        path.unlink()
    (claim,) = claims(only(), "chosen")
    assert claim.sentence.startswith("No test of loss.temperature=")
    assert said in claim.sentence


@pytest.mark.parametrize("metric", ["f1", "best_accuracy"])
def test_single_runs_have_no_test_of_what_they_kept_no_answers_for(here, metric):
    two_runs(here)
    (claim,) = claims(only(metric=metric), "chosen")
    assert "single runs are only tested by the predictions that they stored" in claim.sentence


def test_a_single_run_against_seeds_that_it_lacks_is_not_tested(here):
    write(here / "a", (0, 1), loss__temperature=1)
    write(here / "a", (7,), loss__temperature=4)
    (claim,) = claims(only(), "pair")
    assert "they have seeds 0, 1 and seed 7, none in common" in claim.sentence


def test_a_control_that_some_lack_is_compared_where_it_is(here):
    write(here / "a", loss__temperature=1)
    write(here / "a", told={"rows": ("teacher", "distilled")}, loss__temperature=4)
    assert [claim.left for claim in claims(only(), "control")] == ["loss.temperature=1"]


def grid(here: Path, seeds: int = 3) -> None:
    for temperature in (1, 4):
        for share in (0.1, 0.5):
            write(here / "a", seeds, loss__temperature=temperature, loss__alpha=share)


def test_a_baseline_is_matched_in_all_other_keys(here):
    grid(here)
    found = claims(only(baseline={KEY: ["1"]}), "baseline")
    assert [(claim.left, claim.right) for claim in found] == [
        (f"loss.alpha={share} {KEY}=4", f"loss.alpha={share} {KEY}=1") for share in (0.1, 0.5)
    ]


def test_a_baseline_of_one_setting_is_held_against_all(here):
    grid(here)
    found = claims(only(baseline={KEY: ["1.0"], "loss.alpha": ["0.1"]}), "baseline")
    assert {claim.right for claim in found} == {f"loss.alpha=0.1 {KEY}=1"}
    assert len(found) == 3


def test_a_row_can_be_the_baseline(here):
    grid(here)
    found = only(versus="teacher").results
    assert {(claim.about, claim.right) for claim in found} == {("baseline", "teacher")}
    assert len(found) == 4


def test_a_row_that_settings_share_is_tested_once_and_named(here):
    grid(here)
    family = only(model="teacher")
    assert family.choice is None
    assert [(claim.left, claim.right) for claim in family.results] == [("teacher", "alone")]
    family = only(model="teacher", baseline={KEY: ["1"]})
    assert family.results == []


def test_a_row_that_is_asked_for_is_named_beside_its_setting(here):
    grid(here)
    found = claims(only(model="distilled"), "control")
    assert found[0].left == "distilled of loss.alpha=0.1 loss.temperature=1"


def test_a_shared_row_against_several_is_told_by_their_settings(here):
    for hidden in (8, 16):
        write(here / "a", 2, student__hidden=[hidden])

    def share(row: dict[str, Any], seed: int) -> None:
        if row["model"] == "teacher":
            row["fingerprint"] = f"t{seed}"

    rewrite(here / "a", share)
    family = only(model="teacher")
    assert len([line for line in family.lines if line.model == "teacher"]) == 1
    assert [claim.left for claim in family.results] == [
        "teacher of student.hidden=[16]",
        "teacher of student.hidden=[8]",
    ]


def test_a_key_is_averaged_over_the_others_by_seed(here):
    grid(here)
    family = only(by="loss.temperature")
    found = family.marginal
    assert (found.values, found.blocks, found.seeds) == ([1, 4], 2, [0, 1, 2])
    figures = {
        (setting.values[KEY], setting.values["loss.alpha"]): own
        for setting, own in zip(family.settings, accuracies(family), strict=True)
    }
    first, second = (
        np.mean([figures[value, share] for share in (0.1, 0.5)], 0) for value in (1, 4)
    )
    assert found.estimates[0]["accuracy"].mean == pytest.approx(first.mean())
    assert found.estimates[1]["accuracy"].deviation == pytest.approx(second.std(ddof=1))
    (claim,) = found.results
    assert claim.p == pytest.approx(stats.ttest_rel(first, second).pvalue)
    assert "averages over 2 settings of the other keys, by seed" in found.sentence
    first, second = (one["validation"].mean for one in found.estimates)
    assert claim.left == f"loss.temperature={1 if first > second else 4}"
    assert f"Validation chooses {claim.left}" in found.sentence


def test_only_seeds_that_all_settings_have_are_averaged(here):
    write(here / "a", (0, 1, 2), loss__temperature=1)
    write(here / "a", (1, 2, 3), loss__temperature=4)
    found = only(by=KEY).marginal
    assert found.seeds == [1, 2]
    assert found.estimates[0]["accuracy"].n == 2


def test_of_one_seed_there_are_averages_and_no_test(here):
    for share in (0.1, 0.5):
        write(here / "a", (0, 1), loss__temperature=1, loss__alpha=share)
        write(here / "a", (1, 2), loss__temperature=4, loss__alpha=share)
    family = only(by=KEY)
    found = family.marginal
    own = [
        setting.runs[1].rows["distilled"]["accuracy"]
        for setting in family.settings
        if setting.values[KEY] == 1
    ]
    assert found.estimates[0]["accuracy"].mean == pytest.approx(np.mean(own))
    assert found.estimates[0]["accuracy"].low is None
    (claim,) = found.results
    assert (claim.p, claim.interval) == (None, None)
    assert claim.sentence.endswith(": a single seed allows no claim about the method.")
    assert "averages over 2 settings of the other keys, of seed 1 alone" in found.sentence


def test_values_without_a_common_seed_are_not_averaged_and_it_is_said(here):
    write(here / "a", (0, 1), loss__temperature=1)
    write(here / "a", (2, 3), loss__temperature=4)
    family = only(by=KEY)
    assert family.marginal is None
    assert "No table by loss.temperature: " in " ".join(family.notes)


def test_a_key_that_the_name_of_its_part_tells_is_no_absent_one(here):
    write(here / "a", 2, loss__name="kd", loss__alpha=0.5)
    write(here / "a", 2, loss__name="dkd", loss__alpha=0.7)
    family = only(by="loss.alpha")
    assert family.marginal is None
    assert "No table by loss.alpha: " in " ".join(family.notes)


def test_what_is_counted_is_averaged_and_not_tested(here):
    grid(here)
    assert only(by=KEY, metric="bytes").marginal.results == []


def test_settings_that_lack_a_value_are_not_averaged(here):
    grid(here)
    write(here / "a", 3, loss__temperature=4, loss__alpha=0.9)
    assert only(by=KEY).marginal.blocks == 2
    assert only(by="loss.alpha").marginal.blocks == 1


def test_where_keeps_the_runs_that_have_a_value(here):
    grid(here)
    assert only(where={KEY: ["4"]}).differing == ["loss.alpha"]
    assert len(only(where={KEY: ["4", "1"], "loss.alpha": ["0.5"]}).settings) == 2


@pytest.mark.parametrize(("text", "is_there"), [("true", True), ("1", False), ("True", False)])
def test_a_truth_is_no_number(here, text, is_there):
    write(here / "a", 1, loss__flag=True)
    if is_there:
        assert only(where={"loss.flag": [text]}).settings
    else:
        with pytest.raises(UserError, match=r"no run has loss\.flag"):
            only(where={"loss.flag": [text]})


def test_sorting_changes_the_order_and_chooses_nothing(here):
    for temperature in (1, 2, 4):
        write(here / "a", loss__temperature=temperature)
    plain, family = only(), only(sort="accuracy")
    means = [line.estimates["accuracy"].mean for line in family.judged]
    assert means == sorted(means, reverse=True)
    assert family.choice.setting.values == plain.choice.setting.values
    assert "for reading: nothing was chosen by it" in family.notes[-1]
    family = only(sort="nll")
    means = [line.estimates["nll"].mean for line in family.judged]
    assert means == sorted(means)
    assert [setting.values[KEY] for setting in only(sort=KEY).settings] == [1, 2, 4]


def test_settings_are_judged_by_the_last_step_of_compression(here):
    def step(row: dict[str, Any], seed: int) -> None:
        if row["model"][0] in "12":
            zeros = dict.fromkeys(StepComparison.__annotations__, 0)
            row["versus"] = {
                **zeros, "baseline": "distilled", "latency_before": None, "in_vain": False,
            }  # fmt: skip

    told = {"rows": ("teacher", "alone", "distilled", "1 prune", "2 round")}
    write(here / "a", told=told, compress__steps=["prune"])
    write(here / "a", compress__steps=[])
    rewrite(here / "a", step)
    family = only()
    assert [line.model for line in family.judged] == ["distilled", "2 round"]
    family = only(model="distilled")
    assert [line.model for line in family.judged] == ["distilled", "distilled"]
    assert [len(setting.runs) for setting in only(model="1 prune").settings] == [4]
    write(here / "b", dataset__name="mnist")
    assert [len(one.judged) for one in compared(model="1 prune").tables] == [1, 0]


def test_fronts_are_of_what_nothing_else_beats(here):
    write(here / "a", 2, loss__temperature=1)
    write(here / "a", 2, loss__temperature=4)
    # Row -> (top-1, bytes) of both seeds.
    points = {"teacher": (0.9, 900), "alone": (0.7, 100), 1: (0.8, 100), 4: (0.9, 950)}

    for path in here.rglob("summary.json"):
        temperature = json.loads((path.parent / "run.json").read_text())["config"]["loss"]
        tree = json.loads(path.read_text())
        for row in tree["rows"]:
            name = temperature["temperature"] if row["model"] == "distilled" else row["model"]
            row["accuracy"], row["bytes"] = points[name]
        path.write_text(json.dumps(tree))
    lines = only().lines
    assert ["bytes" in line.fronts for line in lines] == [True, False, True, False]


@pytest.mark.parametrize(("metric", "on"), [("nll", [1]), ("ece", [1]), ("agreement", [])])
def test_fronts_know_which_side_of_a_metric_is_better(here, metric, on):
    write(here / "a", 2, loss__temperature=1)
    write(here / "a", 2, loss__temperature=4)
    rewrite(here / "a", lambda row, seed: row.update(nll=0.9, ece=0.9, agreement=0.9, bytes=100))
    for run in gather(["."]).runs:
        if run.config[KEY] == 1:
            run.summary["rows"][2].update(nll=0.5, ece=0.5, agreement=0.5)
            run.folder.path.joinpath("summary.json").write_text(json.dumps(run.summary))
    lines = only(metric=metric).lines
    assert [line.values[KEY] for line in lines if "bytes" in line.fronts] == on


def test_networks_of_one_shape_are_equally_fast(here):
    write(here / "a", 2, told={"merits": {"distilled": 0.9}}, loss__temperature=1)
    write(here / "a", 2, told={"merits": {"distilled": 0.5}}, loss__temperature=4)
    rewrite(here / "a", lambda row, seed: row["latency"].update(median_ms=1 + row["accuracy"]))
    good, bad = only().judged
    assert "latency" in good.fronts
    assert "latency" not in bad.fronts


def test_latencies_of_two_runtimes_are_on_fronts_of_their_own(here):
    def elsewhere(row: dict[str, Any], seed: int) -> None:
        if row["model"] == "distilled":
            row["latency"].update(runtime="onnxruntime", median_ms=9.0)

    write(here / "a", 2, told={"merits": {"distilled": 0.5}})
    rewrite(here / "a", elsewhere)
    assert "latency" in only().judged[0].fronts


@pytest.mark.parametrize(
    ("asked", "said", "nearest"),
    [
        ({"metric": "acuracy"}, "no metric is called 'acuracy'", "nearest: accuracy"),
        (
            {"by": "loss.temprature"},
            "no key of these runs is called 'loss.temprature'",
            "loss.temperature",
        ),
        ({"where": {"los": ["kd"]}}, "no key of these runs is called 'los'", "nearest: loss"),
        ({"where": {KEY: ["3"]}}, "no run has loss.temperature=3", "loss.temperature is 1, 4"),
        ({"baseline": {KEY: ["3"]}}, "baseline's loss.temperature=3", "is 1, 4"),
        ({"versus": "alon"}, "no row of these runs is called 'alon'", "nearest: alone"),
        ({"model": "xyz"}, "no row of these runs is called 'xyz'", "teacher, alone, distilled"),
        ({"sort": "byte"}, "no key of these runs is called 'byte'", ""),
        (
            {"by": "loss"},
            "--by loss: it is kd in all of these runs",
            "loss.alpha, loss.temperature",
        ),
    ],
)
def test_wrong_words_name_the_nearest(here, asked, said, nearest):
    grid(here, 1)
    with pytest.raises(UserError) as error:
        compared(**asked)
    assert said in error.value.lines[0]
    assert nearest in " ".join(error.value.lines[1:])


def test_versions_that_differ_are_said(here):
    write(here / "a", (0, 1, 2))
    other = {"environment": {"kdrun": "0.1.0", "packages": {"torch": "2.11.0"}, "device": "cpu"}}
    write(here / "a", (3,), told={"manifest": other, "summary": {"jobs": 4, "inexact": ["x"]}})
    notes = " ".join(only().notes)
    assert "Not all runs were made with the same torch: 2.15.0 (3 runs), 2.11.0 (1 run)." in notes
    assert "one kdrun" not in notes
    assert "1 of 4 runs are not exact" in notes
    assert "while up to 4 jobs shared the machine" in notes


def test_students_that_were_not_trained_equally_long_are_told_of(here):
    write(here / "a")
    assert not any("budget" in note for note in only().notes)
    rewrite(
        here / "a",
        lambda row, seed: row.update(steps=9) if (row["model"], seed) == ("alone", 1) else None,
    )
    assert any("Not the same budget: in 1 of 4 runs" in note for note in only().notes)


def test_a_group_without_a_name_is_taken_from_what_was_chosen(here):
    for number, (recipe, epochs) in enumerate([("quick", 30), ("crd", 240)]):
        path = write_run(here / "a" / str(number), {"recipe.epochs": epochs})
        (path / ".hydra").mkdir()
        text = f"hydra:\n  runtime:\n    choices:\n      recipe: {recipe}\n      loss: kd\n"
        (path / ".hydra" / "hydra.yaml").write_text(text)
    assert len(compared().tables) == 2
    assert only(where={"recipe": ["quick"]}).settings[0].config["recipe.epochs"] == 30
    assert only(by="recipe").differing == ["recipe"]
