"""How long `kdrun --help` and `--cfg job` take as whole processes; whether help loads torch.

python -m benchmarks.startup [--rounds 7]
"""

import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence

from benchmarks.machine import describe_machine
from benchmarks.timing import spread, table

COMMANDS = {
    "python alone": ["-c", "pass"],
    "kdrun --version": ["-m", "kdrun", "--version"],
    "kdrun --help": ["-m", "kdrun", "--help"],
    "kdrun --cfg job": ["-m", "kdrun", "--cfg", "job"],
}
_LOADED = """
import sys
sys.argv = ["kdrun", "--help"]
from kdrun.cli.main import main
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(words)
    for command in COMMANDS.values():  # the first run reads files into the system's cache
        _run(command)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            _run(command)
            times[name].append(time.perf_counter() - started)
    print(describe_machine())
    print(f"{options.rounds} rounds; time on the wall of a whole process\n")
    targets = {"kdrun --help": "0.6"}
    rows = [[name, spread(each), targets.get(name, "")] for name, each in times.items()]
    print(table(["command", "seconds", "at most"], rows))
    loaded = _run(["-c", _LOADED]).stderr.strip()
    print(f"\ntorch is loaded by --help: {'yes' if loaded == 'True' else 'no'}")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)


if __name__ == "__main__":
    main()
