"""What a negative control is, and what came of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

Edit = tuple[str, str, str]  # file below kdrun/, text that is there once, text in its place


@dataclass(frozen=True)
class Control:
    """An edit of kdrun that takes out a protection, and tests that must fail then."""

    row: str
    file: str
    old: str
    new: str
    tests: Sequence[str]
    edits: Sequence[Edit] = ()

    def __init__(
        self, row: str, file: str, old: str, new: str, *tests: str, edits: Sequence[Edit] = ()
    ) -> None:
        for name, value in locals().copy().items():
            if name != "self":
                object.__setattr__(self, name, value)

    def all_edits(self) -> Iterator[Edit]:
        """Yield each edit of this control."""
        yield self.file, self.old, self.new
        yield from self.edits

    @property
    def key(self) -> str:
        """What tells this control from all others."""
        return repr((self.row, *self.all_edits(), *self.tests))

    def faults(self, package: Path) -> list[str]:
        """Return what is wrong with the edits: each old text must occur exactly once."""
        found = [
            (file, old, (package / file).read_text(encoding="utf-8").count(old))
            for file, old, _ in self.all_edits()
        ]
        return [
            f"{self.row}: {file} has {old!r} {times} times"
            for file, old, times in found
            if times != 1
        ]


@dataclass(frozen=True)
class Result:
    """How a control ended."""

    control: Control
    bit: bool
    reason: str
