"""What a run holds in memory and open does not grow with its epochs.

`python -m benchmarks.long_run` measures the same over 2,000 epochs, as bytes of the process.
"""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from plans import run_to

from kdrun.core.metrics_log import MetricsLog

FIRST, LAST = 20, 120  # epochs


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_objects_and_open_files_do_not_grow_with_the_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    counts: dict[int, tuple[int, int]] = {}
    append = MetricsLog.append

    def count(log: MetricsLog, record: Mapping[str, Any]) -> None:
        append(log, record)
        if log.path.parent.name == "student" and record["epoch"] in (FIRST, LAST):
            gc.collect()
            counts[record["epoch"]] = len(gc.get_objects()), open_files()

    monkeypatch.setattr(MetricsLog, "append", count)
    words = ("controls=[]", "teacher.recipe={epochs: 1}", f"recipe.epochs={LAST}")
    run_to(tmp_path / "run", *words, "recipe.max_steps=null", "checkpoint_seconds=0.001")
    (objects, files), (objects_later, files_later) = counts[FIRST], counts[LAST]
    assert files_later == files
    assert objects_later - objects < LAST - FIRST  # not one object an epoch
