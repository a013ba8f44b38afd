"""Time and memory of `kdrun compare` and `kdrun list runs` as whole processes, for many runs.

python -m benchmarks.comparing [--runs 100 1000] [--rounds 3]
"""

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import describe_machine
from benchmarks.synthetic_runs import write_run
from benchmarks.timing import spread, table

_SEEDS = 5
_VERBS = {"compare": ["compare"], "list runs": ["list", "runs"]}
_AT_MOST = {("compare", 1000): ("3", "300")}
# Run in a small process: a child's peak memory includes that of the process it was forked from.
_MEASURED = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run([sys.executable, "-m", "kdrun", *sys.argv[1:]], check=True)
seconds = time.perf_counter() - started
print(seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
"""


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(words)
    rows = []
    for runs in options.runs:
        with TemporaryDirectory() as folder:
            _write(Path(folder), runs)
            # The first run, which reads files into the system's cache, is not counted.
            for name, verb in _VERBS.items():
                times = [_measure([*verb, folder]) for _ in range(options.rounds + 1)][1:]
                seconds, memory = zip(*times, strict=True)
                cells = [name, str(runs), spread(seconds), f"{max(memory):.0f}"]
                rows.append([*cells, *_AT_MOST.get((name, runs), ("", ""))])
    print(describe_machine())
    print(f"{options.rounds} rounds; time on the wall of a whole process\n")
    print(table(["command", "runs", "seconds", "MB", "at most s", "at most MB"], rows))


def _write(folder: Path, runs: int) -> None:
    """A sweep of temperatures and shares, each with a few seeds."""
    (folder / "multirun.yaml").touch()
    for number in range(runs):
        setting, seed = divmod(number, _SEEDS)
        temperature, share = setting % 10 + 1, setting // 10
        values = {"loss.temperature": temperature, "loss.alpha": share / 100, "seed": seed}
        write_run(folder / str(number), values)


def _measure(words: Sequence[str]) -> tuple[float, float]:
    """Seconds, and peak memory in MB."""
    command = [sys.executable, "-c", _MEASURED, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, kilobytes = done.stderr.split()
    return float(seconds), int(kilobytes) * 1024 / 1e6


if __name__ == "__main__":
    main()
