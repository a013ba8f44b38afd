"""A sweep of many jobs in one process: when the first one starts, and what stays in memory.

python -m benchmarks.sweeps [--jobs 1000]
"""

import os
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from omegaconf import DictConfig

from benchmarks.machine import describe_machine
from benchmarks.timing import table
from kdrun.cli.launch import launch
from kdrun.core.screen import Screen
from kdrun.sweep import hydra_launcher, worker

WORDS = (
    "teacher=mlp",
    "teacher.hidden=[32]",
    "student=mlp",
    "student.hidden=[8]",
    "controls=[]",
    "dataset.subset=128",
    "recipe.epochs=1",
    "evaluate.latency.seconds=0.01",
    "threads=1",
)
_FIRST = 20  # jobs after which memory is measured first: by then everything is imported


class State(NamedTuple):
    """The process after a job: seconds since the command, resident MB, and open files."""

    jobs: int
    seconds: float
    memory: float
    files: int


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    options = parser.parse_args(words)
    states = measure(options.jobs)
    grown = states[-1].memory - states[1].memory
    print(describe_machine())
    print(table(State._fields, [[f"{value:.0f}" for value in state] for state in states]))
    print(f"{grown:.1f} MB more after {states[-1].jobs} jobs than after {states[1].jobs}")


def measure(jobs: int) -> list[State]:
    """Run a sweep of small runs; return the state before the first job, and after some."""
    start, states, done = time.monotonic(), list[State](), 0
    run_job = worker.run_job

    def state() -> State:
        return State(done, time.monotonic() - start, resident_memory(), open_files())

    def counted(config: DictConfig, plugins: Sequence[str] = ()) -> None:
        nonlocal done
        if not states:
            states.append(state())
        run_job(config, plugins)
        done += 1
        if done in (_FIRST, jobs) or done % 100 == 0:
            states.append(state())

    with (
        TemporaryDirectory() as folder,
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
    ):
        hydra_launcher.run_job = counted
        try:
            launch(["-m", f"seed=range(0,{jobs})", *WORDS, f"output_root={folder}"], Screen())
        finally:
            hydra_launcher.run_job = run_job
    return states


def resident_memory() -> float:
    """Return the memory that this process has in RAM, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


if __name__ == "__main__":
    main()
