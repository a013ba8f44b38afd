"""Memory and open files of a run over many epochs: both must stay where they were.

    python -m benchmarks.long_run [--epochs 2000]

Linux alone: the figures come from /proc. A checkpoint is written every second, so that this is
a part of what is measured.
"""

import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.machine import describe_machine
from benchmarks.timing import table

_WORDS = (
    *("dataset=digits", "dataset.subset=256", "threads=1", "controls=[]", "recipe.lr=0.01"),
    *("teacher=mlp", "teacher.hidden=[32]", "teacher.recipe={epochs: 1}"),
    *("student=mlp", "student.hidden=[8]", "evaluate.latency.seconds=0.01"),
    *("recipe.max_steps=null", "checkpoint_seconds=1"),
)
_PARTS = 10  # the run is looked at so many times, in equal distances
_POLL = 0.01  # seconds


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2000)
    options = parser.parse_args(words)
    with TemporaryDirectory() as folder:
        looks = list(_looks(options.epochs, folder))
    print(describe_machine())
    print(f"an mlp on 256 images of digits, {options.epochs} epochs of 4 steps\n")
    print(table(["epoch", "resident MB", "open files", "threads"], looks))
    first, last = float(looks[1][1]), float(looks[-1][1])
    print(f"\nfrom epoch {looks[1][0]} on: {last - first:+.1f} MB")


def _looks(epochs: int, folder: str) -> Iterator[list[str]]:
    """Yield epoch, resident memory, open files and threads of the process, again and again."""
    command = [sys.executable, "-m", "kdrun", *_WORDS, f"recipe.epochs={epochs}"]
    with subprocess.Popen(
        [*command, "hydra.run.dir=run"], cwd=folder, stdout=subprocess.DEVNULL
    ) as run:
        for part in range(1, _PARTS + 1):
            epoch = max(1, epochs * part // _PARTS - 1)  # the last epoch ends with the process
            while _epochs_done(Path(folder, "run/student/metrics.jsonl")) < epoch:
                if run.poll() is not None:
                    raise RuntimeError(f"the run ended with status {run.returncode}")
                time.sleep(_POLL)
            yield [str(epoch), *_state(Path(f"/proc/{run.pid}"))]
    if run.returncode:
        raise RuntimeError(f"the run ended with status {run.returncode}")


def _epochs_done(metrics: Path) -> int:
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def _state(process: Path) -> list[str]:
    lines = (line.split() for line in (process / "status").read_text().splitlines())
    status = {line[0]: line[1] for line in lines if len(line) > 1}
    files = len(list((process / "fd").iterdir()))
    return [f"{int(status['VmRSS:']) * 1024 / 1e6:.1f}", str(files), status["Threads:"]]


if __name__ == "__main__":
    main()
