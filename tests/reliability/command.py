"""The command in a forked process, which may be killed; what a run must give in the end."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from forked import LOADED
from tiny import TINY, result

# Dropout, averaging, mixup and checkpoints within epochs: all that has a state or is random.
WORDS = (
    *TINY,
    "dataset.subset=200",
    "recipe.epochs=3",
    "recipe.batch_size=16",
    "teacher.dropout=0.2",
    "student.dropout=0.1",
    "recipe.ema=0.9",
    "recipe.mixup=0.2",
    "checkpoint_seconds=0.02",
)
# The same of texts: batches by length, two tokenizers, and augmented texts without labels.
TEXT_WORDS = (
    *("dataset=docstrings", "dataset.subset=120", "dataset.augment.copies=1"),
    *("teacher=text_lstm", "teacher.width=16", "teacher.hidden=8", "teacher.dense=8"),
    "teacher.tokenizer={name: bytes}",
    *("student=text_cnn_small", "student.width=8", "student.channels=4"),
    *("recipe.epochs=3", "recipe.batch_size=16", "recipe.ema=0.9", "recipe.repeat_labeled=true"),
    *("evaluate.latency.seconds=0.01", "threads=1", "checkpoint_seconds=0.02"),
)


def start(folder: Path, words: Sequence[str], environment: Mapping[str, str] = {}) -> int:
    """Fork a process that runs the command in a folder; return its id."""
    for module in LOADED:  # once, before the fork
        import_module(module)
    folder.mkdir(parents=True, exist_ok=True)
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        log = os.open(folder / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(folder)
        os.environ.update(environment)
        sys.argv = ["kdrun", *words]
        from kdrun.cli.main import main

        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    finally:
        os._exit(status)


def end(process: int) -> int:
    """Wait for a process; return its exit status, or the negative number of its signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill_after(process: int, seconds: float) -> bool:
    """Kill a process after a time; return whether it was still running."""
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return end(process) == -signal.SIGKILL


def whole(folder: Path, words: Sequence[str] = WORDS) -> tuple[dict, float]:
    """Run without a fault; return what the run gives, and the seconds that it took."""
    began = time.monotonic()
    assert end(start(folder, [*words, "hydra.run.dir=run"])) == 0
    return result(folder / "run"), time.monotonic() - began


def resume(folder: Path, words: Sequence[str] = WORDS) -> list[str]:
    """Return the words that go on with the run of a folder: it may not have begun."""
    has_begun = (folder / "run" / "run.json").exists()
    return ["resume", "run"] if has_begun else [*words, "hydra.run.dir=run"]
