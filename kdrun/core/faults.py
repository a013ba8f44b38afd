"""Collects the faults of a config, so that all of them are reported together."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from kdrun.core.errors import ConfigError, Fault, KdrunError


class Faults:
    """The faults that checks have found so far.

    A check adds faults; `under` records an error that a check raises, and later checks go on:

        faults = Faults()
        with faults.under("compress"):
            stages = plan_steps(config)
        faults.raise_if_any()
    """

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def add(self, where: str, what: str) -> None:
        """Record one fault.

        Args:
            where: the dotted config key with the fault; empty if `what` is a full sentence.
            what: what is wrong, which continues `where: ` in the message.
        """
        self._faults.append(Fault(where, what))

    def extend(self, faults: Iterable[Fault]) -> None:
        """Record several faults."""
        self._faults.extend(faults)

    @contextmanager
    def under(self, where: str = "") -> Iterator[None]:
        """Record an error of kdrun that the block raises as a fault, and go on after the block.

        Args:
            where: the config key for the fault. The faults of a `ConfigError` keep their own keys.
        """
        try:
            yield
        except ConfigError as error:
            self.extend(error.faults)
        except KdrunError as error:
            self.add(where, str(error))

    def raise_if_any(self) -> None:
        """Raise all faults together.

        Raises:
            ConfigError: there is at least one fault.
        """
        if self._faults:
            raise ConfigError(self._faults)
