"""All of kdrun follows the metric that a task leads with, also where less of it is better."""

import json
import re
from pathlib import Path

import pytest
from forked import ROOT
from tiny import TINY, Kdrun

from kdrun.engine.training_spec import Best
from kdrun.task.classification import CLASSIFICATION

TEXT = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
(MODULE,) = re.findall(r"```python\n(# my_task\.py\n.*?)```", TEXT, re.DOTALL)
WORDS = ("plugins=[my_task]", *TINY, "dataset=digits", "dataset.task=likelihood")


@pytest.fixture
def led_by_nll(tmp_path: Path, kdrun: Kdrun) -> Kdrun:
    """The command with the task of docs/plugins.md, which leads with the NLL."""
    (tmp_path / "my_task.py").write_text(MODULE, encoding="utf-8")

    def run(*words: str, **environment: str):
        return kdrun(*words, PYTHONPATH=f"{tmp_path}:{ROOT}", **environment)

    return run


def test_the_best_epoch_is_the_one_with_the_best_value_in_the_metrics_direction():
    more, less = CLASSIFICATION.scores["accuracy"], CLASSIFICATION.scores["nll"]
    best = Best(1, {"accuracy": 0.5, "nll": 0.7})
    worse = {"accuracy": 0.4, "nll": 0.6}
    assert not best.is_beaten_by(worse, more)
    assert best.is_beaten_by(worse, less)
    assert not best.is_beaten_by(best.scores, less)  # the first of equal ones stays
    assert Best().is_beaten_by(worse, less)


def test_a_run_is_led_by_the_metric_of_its_task(led_by_nll: Kdrun, tmp_path: Path):
    words = ("recipe.epochs=4", "recipe.lr=0.1", "recipe.select=best", "hydra.run.dir=run")
    said = led_by_nll(*WORDS, *words).stdout
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["task"] == "likelihood"
    for row in summary["rows"]:
        folder = {"distilled": "student"}.get(row["model"], row["model"])
        lines = (tmp_path / f"run/{folder}/metrics.jsonl").read_text().splitlines()
        curve = [m["nll"] for m in map(json.loads, lines) if m["split"] == "validation"]
        assert row["validation"]["nll"] == pytest.approx(min(curve))
        record = json.loads((tmp_path / f"run/{folder}/artefact.json").read_text())
        assert record["best_epoch"] == curve.index(min(curve)) + 1
    assert re.search(r"distilled over alone: [+-]\d\.\d{3} nats, 95 % interval", said)
    assert re.search(r"^ +NLL +top-1", said, re.MULTILINE)
    page = (tmp_path / "run/report.html").read_text()
    assert "NLL on validation" in page
    assert "validation NLL, nats" in page
    assert "validation accuracy" not in page


def test_training_ends_by_the_metric_of_the_task(led_by_nll: Kdrun, tmp_path: Path):
    words = ("recipe.epochs=20", "recipe.lr=0.01", "stop.when={reaches: 1.9}")
    led_by_nll(*WORDS, *words, "hydra.run.dir=run")
    lines = (tmp_path / "run/student/metrics.jsonl").read_text().splitlines()
    curve = [m["nll"] for m in map(json.loads, lines) if m["split"] == "validation"]
    record = json.loads((tmp_path / "run/student/artefact.json").read_text())
    assert record["stopped"] == f"good enough after epoch {len(curve)}"
    assert curve[-1] <= 1.9 < min(curve[:-1])


def test_settings_are_compared_and_chosen_by_the_metric_of_the_task(
    led_by_nll: Kdrun, tmp_path: Path
):
    led_by_nll("-m", *WORDS, "recipe.lr=0.0001,0.01", "seed=0,1", "hydra.sweep.dir=sweep")
    said = led_by_nll("compare", "sweep", "--json", "c.json", "plugins=[my_task]").stdout
    (table,) = json.loads((tmp_path / "c.json").read_text())["tables"]
    assert (table["metric"], table["choice"]["by"]) == ("nll", "validation")
    chosen = table["settings"][table["choice"]["setting"]]["values"]
    means = {
        tuple(line["values"].values()): line["metrics"]["validation"]["mean"]
        for line in table["lines"]
        if line["model"] == "distilled"
    }
    assert means[tuple(chosen.values())] == min(means.values())
    assert "NLL" in said
