"""A trial ends at the first bar that its best epoch so far does not reach."""

from pathlib import Path
from typing import Any

import pytest

from kdrun.core.errors import TrialStopped
from kdrun.core.metrics_log import MetricsLog
from kdrun.engine.stop_trial import stop_hopeless_trial
from kdrun.task.classification import CLASSIFICATION

METRIC = CLASSIFICATION.leading()


def record(epoch: int, accuracy: float, **other: Any) -> dict[str, Any]:
    place = {"stage": "distill", "phase": "main", "step": 4 * epoch, "split": "validation"}
    return {**place, "epoch": epoch, "accuracy": accuracy, **other}


def test_the_first_bar_that_is_not_reached_ends_the_training(tmp_path: Path) -> None:
    seen: list[Any] = []
    watch = stop_hopeless_trial(seen.append, [None, 0.5, 0.6], tmp_path, METRIC)
    watch(record(1, 0.1))
    watch(record(2, 0.5))
    with pytest.raises(
        TrialStopped, match=r"after epoch 3: validation accuracy 55.00% is below 60.00%"
    ):
        watch(record(3, 0.55))
    assert len(seen) == 3


def test_the_best_epoch_counts_also_of_before_a_kill(tmp_path: Path) -> None:
    MetricsLog(tmp_path / "metrics.jsonl").append(record(1, 0.7))
    watch = stop_hopeless_trial(lambda record: None, [None, 0.5], tmp_path, METRIC)
    watch(record(2, 0.1))


def test_other_stages_splits_and_phases_and_later_epochs_are_let_through(tmp_path: Path) -> None:
    watch = stop_hopeless_trial(lambda record: None, [0.9], tmp_path, METRIC)
    watch(record(1, 0.1, stage="teacher"))
    watch(record(1, 0.1, split="train"))
    watch(record(1, 0.1, phase="hints"))
    watch(record(2, 0.1))
