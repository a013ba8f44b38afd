"""The command in a process of its own that is forked from one in which PyTorch is loaded.

A fresh interpreter takes seconds to import PyTorch; a fork takes none. What a test sees is the
same: exit status, both streams, files, and death by a signal.

As a script, this is the process that forks: a line of JSON on stdin asks for one run of the
command, a line with its exit status on stdout says that it has ended.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOADED = (
    "torch",
    "torchvision",
    "sklearn.datasets",
    "kdrun.cli.launch",
    "kdrun.check.preflight",
    "kdrun.run.runner",
    "kdrun.sweep.runner",
)
_MAX_SECONDS = 300


class ForkedCommand:
    """A process with everything loaded; each call of `run` forks one that becomes the command."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )

    def run(
        self,
        words: tuple[str, ...],
        folder: Path,
        environment: Mapping[str, str],
        streams: Path,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command once. One that takes more than five minutes dies by SIGALRM.

        Args:
            words: what is typed after `kdrun`.
            folder: the current folder.
            environment: variables beside those of this process.
            streams: a folder for what the command prints.
        """
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = {"words": words, "folder": str(folder), "environment": {**environment}}
        request |= {"stdout": str(streams / "stdout"), "stderr": str(streams / "stderr")}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        printed = [(streams / name).read_text(encoding="utf-8") for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(["kdrun", *words], status, *printed)

    def close(self) -> None:
        """End the process; those that it forked have ended."""
        self._server.communicate()


def _serve() -> None:
    from importlib import import_module

    for module in LOADED:
        import_module(module)
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become_the_command(json.loads(line))
        _, status = os.waitpid(child, 0)
        replies.write(f"{os.waitstatus_to_exitcode(status)}\n")
        replies.flush()


def _become_the_command(request: dict[str, Any]) -> None:
    """As `python -m kdrun` in the folder; never returns."""
    import atexit
    import runpy
    import traceback

    for number, (name, flags) in enumerate(
        [
            (os.devnull, os.O_RDONLY),
            (request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ]
    ):
        os.dup2(os.open(name, flags), number)
    signal.alarm(_MAX_SECONDS)
    os.chdir(request["folder"])
    os.environ.update(request["environment"])
    paths = os.environ["PYTHONPATH"].split(os.pathsep)
    sys.path[:0] = [request["folder"], *paths]
    sys.argv = ["kdrun", *request["words"]]
    status: Any = 0
    try:
        runpy.run_module("kdrun", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code or 0
    except BaseException:  # noqa: BLE001 - as an interpreter ends
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    _serve()
