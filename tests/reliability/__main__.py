"""`python -m tests.reliability`: inject, count, and write the page."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from .page import write_page
from .parts import PARTS, ROOT, run_part

QUICK = {
    "kills": 4,
    "hooks": 1,
    "texts": 4,
    "flips": 20,
    "cuts": 5,
    "store": 1,
    "fuzz": 50,
    "commands": 5,
}


def _asked(words: list[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m tests.reliability")
    parser.add_argument("--kills", type=int, default=200, help="SIGKILLs at random times")
    parser.add_argument("--hooks", type=int, default=10, help="SIGKILLs at each fault point")
    parser.add_argument("--texts", type=int, default=60, help="SIGKILLs of a run on texts")
    parser.add_argument("--flips", type=int, default=200, help="flipped bits of a checkpoint")
    parser.add_argument("--cuts", type=int, default=20, help="truncations of a checkpoint")
    parser.add_argument("--store", type=int, default=50, help="times that processes share a store")
    parser.add_argument("--processes", type=int, default=8, help="processes that share it")
    parser.add_argument("--fuzz", type=int, default=10000, help="examples of each quick fuzzer")
    parser.add_argument("--commands", type=int, default=10000, help="examples of the slow ones")
    parser.add_argument("--jobs", type=int, default=2, help="processes that try controls")
    parser.add_argument("--only", choices=PARTS, action="append", help="run these parts alone")
    parser.add_argument("--quick", action="store_true", help="small counts, to try the command")
    parser.add_argument("--results", type=Path, default=ROOT / "outputs" / "reliability")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "reliability.md")
    asked = parser.parse_args(words)
    if asked.quick:
        vars(asked).update(QUICK)
    return asked


def main(words: list[str]) -> int:
    """Run what has no results yet, and write the page once all parts have some."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    asked = _asked(words)
    asked.results.mkdir(parents=True, exist_ok=True)
    files = {name: asked.results / f"{name}.json" for name in PARTS}
    for name in asked.only or PARTS:
        if name == "controls" or not files[name].exists():
            counts = run_part(name, asked)
            files[name].write_text(json.dumps(counts, indent=2), encoding="utf-8")
            print(f"{name}: {counts['seconds']} s", flush=True)
    if missing := [name for name, file in files.items() if not file.exists()]:
        print(f"no page yet: there are no results of {', '.join(missing)}")
        return 0
    results = {name: json.loads(file.read_text("utf-8")) for name, file in files.items()}
    write_page(asked.page, results)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
