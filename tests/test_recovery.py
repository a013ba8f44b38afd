"""The table of compressed models over seeds, from the summaries of finished runs."""

import json
from pathlib import Path
from typing import Any

from benchmarks.recovery import table


def finished(output: Path, seed: int, student: float, pruned: float, faster: float | None) -> None:
    rows: list[dict[str, Any]] = [
        {"model": "distilled", "accuracy": student, "macs": 4e6, "bytes": 9000},
        {
            "model": "1 prune_channels",
            "accuracy": pruned,
            "macs": 1e6,
            "bytes": 3000,
            "versus": {"accuracy": pruned - student, "agreement": 0.9, "latency": faster},
        },
    ]
    folder = output / f"half-{seed}"
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps({"rows": rows}))


def test_each_model_is_held_against_its_own_seed(tmp_path: Path) -> None:
    finished(tmp_path, 0, 0.50, 0.40, 2.0)
    finished(tmp_path, 1, 0.60, 0.54, 1.5)
    finished(tmp_path, 2, 0.55, 0.47, 1.75)
    _, _, student, pruned = table(tmp_path, "half")
    assert student == "| distilled | 55.00 ± 5.00 | - | - | - | 4.00 M | 9 k | - |"
    lost = "-8.00 ± 2.00"
    cost = "1.00 M | 3 k | 1.50 to 2.00"
    assert (
        pruned == f"| 1 prune_channels | 47.00 ± 7.00 | {lost} | {lost} | 90.00 ± 0.00 | {cost} |"
    )


def test_a_ratio_that_no_run_could_take_is_left_out(tmp_path: Path) -> None:
    finished(tmp_path, 0, 0.50, 0.40, None)
    *_, pruned = table(tmp_path, "half")
    assert pruned.endswith("| 90.00 (n=1) | 1.00 M | 3 k | - |")
    assert list(table(tmp_path, "int8"))[2:] == []
