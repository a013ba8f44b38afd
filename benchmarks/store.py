"""Time of `kdrun store` as a whole process, for a store with many artefacts.

python -m benchmarks.store [--artefacts 10000] [--runs 1000]
"""

import json
import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import describe_machine
from benchmarks.synthetic_runs import write_run
from benchmarks.timing import table

_WEIGHTS = 20_000  # bytes, as of a small network
_USED = 0.5  # of the artefacts, by a run


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--artefacts", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args(words)
    actions = (["list"], ["check"], ["prune", "--older", "0m", "--dry-run"])
    with TemporaryDirectory() as folder:
        _write(Path(folder), options.artefacts, options.runs)
        rows = [_time(action, folder) for action in (*actions, ["prune", "--older", "0m"])]
    print(describe_machine())
    print(f"{options.artefacts} artefacts, {options.runs} runs; seconds of a whole process\n")
    print(table(["kdrun store", "seconds", "its last line"], rows))


def _write(root: Path, artefacts: int, runs: int) -> None:
    """Write a store of which half is used by runs."""
    names = [f"{number:020x}" for number in range(artefacts)]
    weights = os.urandom(_WEIGHTS)
    record = {"stage": "teacher", "model": {"name": "mlp"}}
    record["sums"] = {"weights.safetensors": sha256(weights).hexdigest()}
    for name in names:
        folder = root / ".store" / name
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(weights)
        (folder / "artefact.json").write_text(json.dumps({**record, "fingerprint": name}))
    used = names[: int(_USED * artefacts)]
    for number in range(runs):
        stages = {
            name: {"fingerprint": name, "seconds": 0.1, "from_store": True}
            for name in used[number::runs]
        }
        write_run(root / str(number), {"seed": number}, manifest={"stages": stages})


def _time(action: list[str], folder: str) -> list[str]:
    started = time.perf_counter()
    command = [sys.executable, "-m", "kdrun", "store", *action, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    return [" ".join(action), f"{seconds:.1f}", done.stdout.splitlines()[-1]]


if __name__ == "__main__":
    main()
