"""The table of methods over seeds, from the summaries of finished runs."""

import json
from pathlib import Path

from benchmarks.evidence import Job, table


def finished(output: Path, method: str, seed: int, alone: float, distilled: float) -> None:
    folder = output / Job("resnet20", method, seed).name
    folder.mkdir(parents=True)
    scores = {"teacher": 0.5, "alone": alone, "distilled": distilled}
    rows = [{"model": model, "accuracy": accuracy} for model, accuracy in scores.items()]
    (folder / "summary.json").write_text(json.dumps({"rows": rows}))


def test_gains_are_those_of_each_seed_over_its_own_control(tmp_path: Path) -> None:
    for seed, (alone, distilled) in enumerate([(0.40, 0.44), (0.42, 0.43), (0.41, 0.45)]):
        finished(tmp_path, "kd", seed, alone, distilled)
    finished(tmp_path, "dkd", 0, 0.40, 0.46)
    lines = {line.split("|")[1].strip(): line for line in table(tmp_path, ["kd", "dkd", "sp"])}
    assert lines["teacher"] == "| teacher | 50.00 | - | 50.00 | - |"
    assert lines["alone"] == "| alone | 41.00 ± 1.00 | - | - | - |"
    assert lines["kd"] == "| kd | 44.00 ± 1.00 | +3.00 ± 1.73 | - | - |"
    assert lines["dkd"] == "| dkd | 46.00 (n=1) | +6.00 (n=1) | - | - |"
    assert lines["sp"] == "| sp | - | - | - | - |"
