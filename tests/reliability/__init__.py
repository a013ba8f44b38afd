"""Injects faults in numbers, and writes what came of it to docs/reliability.md.

    nice -n 10 python -m tests.reliability               the counts of the page, about an hour
    python -m tests.reliability --quick --page PAGE      to try it
    python -m tests.reliability --only kills --kills 20  one part

Parts: `kills` (SIGKILL at random times, resume, compare bit for bit), `hooks` (the same at each
fault point), `damage` (flipped bits and truncations of a checkpoint), `store` (processes that
share a store), `fuzz` (tests/fuzz and other fuzzers) and `controls` (tests/controls). Each part
leaves a file in the folder `--results`; a part that has one is not run again. The page is written
when all are there. No figure of it is written by hand.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as in tests
