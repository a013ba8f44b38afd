"""Turns Ctrl-C and SIGTERM into a request to stop, which training obeys between two steps."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

from kdrun.core.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Remembers the first signal; a second one stops the process at once.

    Attributes:
        signal: the number of the first signal, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._old_handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._old_handlers = {number: signal.signal(number, self._remember) for number in _SIGNALS}
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
        if self.signal is not None:
            raise KeyboardInterrupt(number)
        self.signal = number
