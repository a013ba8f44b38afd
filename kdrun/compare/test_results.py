"""The result of a significance test, as numbers and as a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kdrun.compare.metrics import METRICS
from kdrun.compare.statistics import holm

LEVEL = 0.05  # a corrected p below it is evidence of a difference

Interval = tuple[float, float]


@dataclass(frozen=True)
class SignificanceTest:
    """A test of the difference between two models, left and right.

    Attributes:
        about: why these two are compared: control, chosen, baseline, pair or by.
        left: label of the left model: the settings that distinguish it.
        right: label of the right model.
        metric: the name of what is compared.
        test: the test's name; empty where none could be made.
        pairs: what is paired: seeds or samples; empty for unpaired values.
        counts: how many values there are on the left and on the right.
        difference: left minus right, in the metric's unit of records: 0..1 for top-1.
        interval: 95 % interval of the difference by Student's distribution; None without one.
        drawn: 95 % interval of the difference by the bootstrap.
        p: of this test.
        p_of_all: p after Holm's correction for all tests that are made together.
        together: how many these are.
        seed: of the two runs, where their samples are paired.
        why_none: why no test could be made, as the end of a sentence.
    """

    about: str
    left: str
    right: str
    metric: str
    test: str = ""
    pairs: str = ""
    counts: tuple[int, int] = (0, 0)
    difference: float | None = None
    interval: Interval | None = None
    drawn: Interval | None = None
    p: float | None = None
    p_of_all: float | None = None
    together: int = 1
    seed: int | None = None
    why_none: str = ""

    @property
    def found(self) -> bool:
        """Whether the test is evidence of a difference."""
        return self.p_of_all is not None and self.p_of_all < LEVEL

    @property
    def amount(self) -> str:
        """The difference with its sign, in the unit that is shown."""
        return "-" if self.difference is None else self._text(self.difference)

    def interval_text(self, ends: Interval | None) -> str:
        """Return an interval in the unit that is shown."""
        return "-" if ends is None else f"{self._text(ends[0])} to {self._text(ends[1])}"

    @property
    def sentence(self) -> str:
        """The result in words, with what it rests on."""
        if not self.test or self.difference is None:
            return f"No test of {self.left} against {self.right}: {self.why_none}."
        if self.found:
            verdict = f"{self.left} is {self._verdict} {self.right} by {self._size}"
        else:
            once = f", once {self.together} tests are corrected for," if self._lost else ""
            verdict = (
                f"No evidence{once} that {self.left} differs from {self.right}:"
                f" {self.amount} {METRICS[self.metric].unit.name}"
            )
        return f"{verdict}, {self._ends}, {self._rests_on}."

    @property
    def _lost(self) -> bool:
        """Whether this test would be evidence if it were the only one."""
        return self.p is not None and self.p < LEVEL

    @property
    def _verdict(self) -> str:
        more = (self.difference or 0) > 0
        better = METRICS[self.metric].better
        if not better:
            return "above" if more else "below"
        return "better than" if more == (better == "more") else "worse than"

    @property
    def _size(self) -> str:
        return f"{self.amount.lstrip('+-')} {METRICS[self.metric].unit.name}"

    @property
    def _ends(self) -> str:
        """The intervals; those of a difference that is written without its sign are negated too."""
        signed = self if not self.found or (self.difference or 0) > 0 else self._negated
        plain = (lambda text: text.replace("+", "")) if self.found else str
        drawn = signed.interval_text(signed.drawn)
        if signed.interval is None:
            return plain(f"95 % interval {drawn} by the bootstrap")
        return plain(f"95 % interval {signed.interval_text(signed.interval)} (bootstrap {drawn})")

    @property
    def _negated(self) -> "SignificanceTest":
        interval, drawn = (
            None if ends is None else (-ends[1], -ends[0]) for ends in (self.interval, self.drawn)
        )
        return replace(self, interval=interval, drawn=drawn)

    @property
    def _rests_on(self) -> str:
        left, right = self.counts
        size = f"{left} {self.pairs}" if self.pairs else f"{left} and {right} seeds, not paired"
        p = f"p {p_text(self.p)}"
        if self.together > 1:
            p += f" ({p_text(self.p_of_all)} after Holm's correction for {self.together})"
        if self.pairs != "samples":
            return f"{size}, {self.test}, {p}"
        return (
            f"{left} test samples, {self.test}, {p}; one run each, of seed {self.seed}: no"
            " claim about the method beyond these two runs"
        )

    def _text(self, value: float) -> str:
        unit = METRICS[self.metric].unit
        rounded = round(value * unit.factor, unit.decimals) + 0.0  # + 0.0 turns -0.0 into 0.0
        return f"{rounded:+.{unit.decimals}f}"


def correct_for_all(results: Sequence[SignificanceTest]) -> list[SignificanceTest]:
    """Return the tests with their p corrected for all of them by Holm's method."""
    tested = [result.p for result in results if result.p is not None]
    raised = iter(holm(tested))
    return [
        result if result.p is None else replace(result, p_of_all=next(raised), together=len(tested))
        for result in results
    ]


def p_text(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.0005 else "<0.001"
