"""Time of `kdrun report` for one run and for many, and size of the page.

python -m benchmarks.reporting [--runs 100] [--rounds 3]

One tiny run is made; the others are copies of it with other settings, seeds and results.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.timing import spread, table

_TINY = (
    "teacher=mlp",
    "teacher.hidden=[64]",
    "student=mlp",
    "student.hidden=[16]",
    "recipe.epochs=30",
    "evaluate.latency.seconds=0.05",
    "threads=1",
)
_ALPHAS, _SEEDS = 5, 4  # values of the copies; there are as many temperatures as needed
_SECONDS, _BYTES = 10, 10e6  # limits for 100 runs


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(words)
    print(describe_machine())
    print(f"{options.rounds} rounds; time on the wall of a whole process\n")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        _kdrun(root, *_TINY)
        (run,) = root.glob("outputs/20*/*")
        for number in range(options.runs):
            _copy(run, root / "many" / f"{number:04}", number)
        rows = []
        for name, folder, limit in (
            ("one run", run, ""),
            (f"{options.runs} runs", root / "many", f"{_SECONDS} s, {_BYTES / 1e6:.0f} MB"),
        ):
            times = [_report(root, folder) for _ in range(options.rounds)]
            size = (root / "page.html").stat().st_size
            rows.append([name, spread(times), f"{size / 1e6:.2f}", limit])
    print(table(["report of", "seconds", "MB", "at most"], rows))


def _kdrun(root: Path, *words: str) -> None:
    """Run the command in a folder."""
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "kdrun", *words]
    subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)


def _report(root: Path, folder: Path) -> float:
    started = time.perf_counter()
    _kdrun(root, "report", str(folder), "-o", "page.html")
    return time.perf_counter() - started


def _copy(run: Path, folder: Path, number: int) -> None:
    """Copy the run with another setting or seed, and with slightly different results."""
    rng = random.Random(number)
    setting, seed = divmod(number, _SEEDS)
    temperature, alpha = divmod(setting, _ALPHAS)
    folder.mkdir(parents=True)
    for name in ("predictions.npz", "examples.npz"):
        shutil.copy(run / name, folder / name)
    manifest = json.loads((run / "run.json").read_text())
    manifest["seed"] = manifest["config"]["seed"] = seed
    manifest["config"]["loss"] |= {"temperature": 1.0 + temperature, "alpha": (1 + alpha) / 10}
    summary = json.loads((run / "summary.json").read_text())
    for row in summary["rows"]:
        distilled = row["model"] == "distilled"
        row["fingerprint"] = f"{row['model']}-{number if distilled else seed}"
        row["accuracy"] = min(1.0, row["accuracy"] * rng.uniform(0.97, 1.0))
        if "validation" in row:
            row["validation"]["accuracy"] *= rng.uniform(0.97, 1.0)
    for name, stage in manifest["stages"].items():
        stage["fingerprint"] = f"{name}-{number if name == 'distill' else seed}"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line["accuracy"] *= rng.uniform(0.97, 1.0)
    (folder / "run.json").write_text(json.dumps(manifest))
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


if __name__ == "__main__":
    main()
