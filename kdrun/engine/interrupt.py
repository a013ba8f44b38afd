"""Turns Ctrl-C, SIGTERM and SIGHUP into a request to stop, which training obeys between steps."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from kdrun.core.errors import Interrupted
from kdrun.core.hangup import silence_closed_terminal, stop_signals


class Interrupt:
    """Remembers the first signal; a second one stops the process at once.

    SIGHUP is never a second one: the kernel and the shell both send it when a terminal is closed.

    Attributes:
        signal: the number of the first signal, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._old_handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        signals = (signal.SIGINT, *stop_signals())
        self._old_handlers = {number: signal.signal(number, self._remember) for number in signals}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)

    def check(self, stage: str) -> None:
        """Raise an error if a signal came; `stage` is for its message.

        Raises:
            Interrupted: a signal came.
        """
        if self.signal is not None:
            raise Interrupted(self.signal, f"interrupted in stage {stage!r}.")

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            silence_closed_terminal()
        elif self.signal is not None:
            raise KeyboardInterrupt(number)
        self.signal = self.signal or number
