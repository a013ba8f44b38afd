"""Loops that run side by side in one process: a few steps each, in turn, round after round.

A machine's speed drifts, so a ratio is taken within a round and never between two.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from threading import Semaphore, Thread

import torch

Tick = Callable[[], None]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Contender:
    """One way of doing the same work.

    Attributes:
        name: its row in the table.
        loop: does steps without end, and calls what it is given after each.
        settle: sets what is global in the process as this loop wants it, before each turn.
    """

    name: str
    loop: Callable[[Tick], object]
    settle: Callable[[], None]


def compete(
    contenders: Sequence[Contender], rounds: int, steps: int, clock: Clock
) -> dict[str, list[float]]:
    """Seconds a step of each contender, one value a round.

    A round before the first warms up and is not counted.
    """
    with _seats(contenders, steps, clock) as seats:
        for seat in seats:
            seat.take_turn()
        times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        for _ in range(rounds):
            for contender, seat in zip(contenders, seats, strict=True):
                times[contender.name].append(seat.take_turn() / steps)
    return times


def make_clock(device: torch.device) -> Clock:
    """This thread's CPU time; on a GPU the time on the wall once its work is done."""
    if device.type != "cuda":
        return time.thread_time

    def wall() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return wall


class Enough(Exception):
    """How a loop without end is left."""


def stop_after(steps: int) -> Tick:
    """A tick that leaves the loop by `Enough` after so many steps."""
    left = iter(range(steps - 1))

    def tick() -> None:
        if next(left, None) is None:
            raise Enough

    return tick


class _Seat:
    """A contender in a thread of its own, which runs only when it has its turn.

    A loop that owns its steps, as kdrun's does, can't be called for single ones.
    """

    def __init__(self, contender: Contender, steps: int, clock: Clock) -> None:
        self._contender, self._steps, self._clock = contender, steps, clock
        self._go, self._done = Semaphore(0), Semaphore(0)
        self._ended, self._count, self._started, self._seconds = False, 0, 0.0, 0.0
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def take_turn(self) -> float:
        """Let it do its steps; their seconds."""
        self._go.release()
        self._done.acquire()
        if self._error is not None:
            raise RuntimeError(f"{self._contender.name} failed") from self._error
        return self._seconds

    def leave(self) -> None:
        self._ended = True
        self._go.release()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._wait()
            self._contender.loop(self._tick)
            raise RuntimeError("the loop ended before its last turn")
        except Enough:
            pass
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._error = error
            self._done.release()

    def _tick(self) -> None:
        self._count += 1
        if self._count == self._steps:
            self._seconds = self._clock() - self._started
            self._done.release()
            self._wait()

    def _wait(self) -> None:
        self._go.acquire()
        if self._ended:
            raise Enough
        self._contender.settle()
        self._count = 0
        self._started = self._clock()


@contextmanager
def _seats(contenders: Sequence[Contender], steps: int, clock: Clock) -> Iterator[list[_Seat]]:
    seats = [_Seat(contender, steps, clock) for contender in contenders]
    try:
        yield seats
    finally:
        for seat in seats:
            seat.leave()


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Median, and least and largest in brackets."""
    return f"{median(values):{form}} ({min(values):{form}}..{max(values):{form}})"


def ratios(times: Mapping[str, Sequence[float]], slow: str, fast: str) -> list[float]:
    """How many times as long `slow` took as `fast`, round by round."""
    return [one / other for one, other in zip(times[slow], times[fast], strict=True)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join([_line(head), _line(["---"] * len(head)), *(_line([*row]) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
