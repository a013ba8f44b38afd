"""Time loops side by side in one process: a few steps of each in turn, for several rounds.

The speed of a machine drifts, so ratios are taken within a round.
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
        loop: does steps without end, and calls its argument after each.
        apply_settings: sets PyTorch's global settings for this loop; called before each turn.
    """

    name: str
    loop: Callable[[Tick], object]
    apply_settings: Callable[[], None]


def time_in_turns(
    contenders: Sequence[Contender], rounds: int, steps: int, clock: Clock
) -> dict[str, list[float]]:
    """Seconds per step of each contender, one value for each round.

    A warm-up round before the first is not counted.
    """
    with _in_threads(contenders, steps, clock) as turns:
        for contender_turns in turns:
            contender_turns.take_turn()
        times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
        for _ in range(rounds):
            for contender, contender_turns in zip(contenders, turns, strict=True):
                times[contender.name].append(contender_turns.take_turn() / steps)
    return times


def make_clock(device: torch.device) -> Clock:
    """A clock of this thread's CPU time; for a GPU, of wall time after its work is done."""
    if device.type != "cuda":
        return time.thread_time

    def wall() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return wall


class StopLoop(Exception):
    """Ends a loop without end."""


def stop_after(steps: int) -> Tick:
    """A tick that raises `StopLoop` after so many steps."""
    remaining = iter(range(steps - 1))

    def tick() -> None:
        if next(remaining, None) is None:
            raise StopLoop

    return tick


class _Turns:
    """A contender's loop in a thread that runs only during its turns.

    A loop such as kdrun's can't be called for single steps.
    """

    def __init__(self, contender: Contender, steps: int, clock: Clock) -> None:
        self._contender, self._steps, self._clock = contender, steps, clock
        self._go, self._done = Semaphore(0), Semaphore(0)
        self._ended, self._count, self._started, self._seconds = False, 0, 0.0, 0.0
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def take_turn(self) -> float:
        """Run a turn's steps; returns their seconds."""
        self._go.release()
        self._done.acquire()
        if self._error is not None:
            raise RuntimeError(f"{self._contender.name} failed") from self._error
        return self._seconds

    def end(self) -> None:
        """End the loop and its thread."""
        self._ended = True
        self._go.release()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._wait()
            self._contender.loop(self._tick)
            raise RuntimeError("the loop ended before its last turn")
        except StopLoop:
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
            raise StopLoop
        self._contender.apply_settings()
        self._count = 0
        self._started = self._clock()


@contextmanager
def _in_threads(
    contenders: Sequence[Contender], steps: int, clock: Clock
) -> Iterator[list[_Turns]]:
    turns = [_Turns(contender, steps, clock) for contender in contenders]
    try:
        yield turns
    finally:
        for contender_turns in turns:
            contender_turns.end()


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """The median, with the range in brackets."""
    return f"{median(values):{form}} ({min(values):{form}}..{max(values):{form}})"


def ratios(times: Mapping[str, Sequence[float]], slow: str, fast: str) -> list[float]:
    """Time of `slow` divided by time of `fast`, for each round."""
    pairs = zip(times[slow], times[fast], strict=True)
    return [slow_time / fast_time for slow_time, fast_time in pairs]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join([_line(head), _line(["---"] * len(head)), *(_line([*row]) for row in rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
