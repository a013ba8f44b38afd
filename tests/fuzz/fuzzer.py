"""What the fuzzers share: how many examples, the command in this process, what it may end with."""

import math
import os
import re
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from tiny import TINY

EXAMPLES = int(os.environ.get("KDRUN_FUZZ", "300"))  # of a fuzzer that is quick
COMMANDS = int(os.environ.get("KDRUN_FUZZ_COMMANDS", "40"))  # of one that checks a whole command
# 0 done, 2 mistake of the user, 3 limit, 4 storage, 7 memory: what a check can end with.
KNOWN = (0, 2, 3, 4, 7)
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

Ends = dict[str, str]  # what is wrong with an end of the command -> the first example of it


counts: list[int] = []  # examples of each call of `fuzz`


def fuzz(
    strategy: SearchStrategy,
    end_of: Callable[[Any], str],
    share: float = 1.0,
    examples: int = EXAMPLES,
) -> tuple[int, Ends]:
    """Give examples to `end_of`; return their number, and an example of each wrong end.

    Args:
        strategy: the examples; the same ones each time, unless KDRUN_FUZZ is set.
        end_of: returns what is wrong with how the command ended; empty if nothing is.
        share: of the examples; less for what is slow.
        examples: their number.
    """
    seen = 0
    wrong: Ends = {}

    @settings(
        max_examples=math.ceil(share * examples),
        phases=[Phase.generate],
        derandomize="KDRUN_FUZZ" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def try_out(example: Any) -> None:
        nonlocal seen
        seen += 1
        reason = end_of(example)
        if reason and reason not in wrong:
            wrong[reason] = repr(example)
            print(f"{reason}\n    {example!r}", file=sys.__stderr__, flush=True)

    try_out()
    counts.append(seen)
    return seen, wrong


def end_of_check(
    words: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Check a small run with these words; return what is wrong with how that ended."""
    from kdrun.cli.main import main

    monkeypatch.setattr(sys, "argv", ["kdrun", *TINY, *words, "check=true"])
    try:
        main()
        status: object = "no status"
    except SystemExit as end:
        status = end.code
    except BaseException as error:  # noqa: BLE001 - a fuzzer reports whatever comes
        return f"{type(error).__name__} left the command: {error}"
    said = capsys.readouterr()
    first = (said.err.splitlines() or [""])[0]
    if status not in KNOWN:
        return f"status {status}: {said.err.strip()[-200:]}"
    if "Traceback" in said.err or (status and not said.err.startswith("kdrun: ")):
        return f"no sentence, status {status}: {first[:200]}"
    raw = sorted({char for char in said.out + said.err if _CONTROL.match(char)})
    return f"control characters: {raw}" if raw else ""


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and no network: a dataset may be downloaded otherwise."""

    def refuse(*_: object) -> None:
        raise OSError("no network in a fuzzer")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)
    return tmp_path
