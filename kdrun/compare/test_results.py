"""The result of a significance test, as numbers and as a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kdrun.compare.metrics import RowMetric
from kdrun.compare.statistics import holm

LEVEL = 0.05  # a corrected p below it is evidence of a difference

Interval = tuple[float, float]  # lower and upper end


@dataclass(frozen=True)
class SignificanceTest:
    """A test of the difference between two models, left and right.

    Attributes:
        about: the kind of comparison: with the control row (control), with a baseline (baseline),
            of the setting that validation chose with the others (chosen), of the only two settings
            (pair), or of the values of one key (by).
        left: label of the left model: the config values that distinguish it.
        right: label of the right model.
        metric: the metric that is compared.
        test: the name of the statistical test; empty if no test could be made.
        pairs: what is paired: seeds or samples; empty for unpaired values.
        counts: the number of values on the left, and on the right.
        difference: left minus right, in the unit of summary.json: 0..1 for top-1.
        interval: 95 % interval of the difference by Student's t distribution; None if the test
            has none.
        drawn: 95 % interval of the difference by the bootstrap.
        p: the p-value of this test, not corrected.
        p_of_all: the p-value after Holm's correction for several tests.
        together: the number of tests that are corrected together.
        seed: the seed of the two runs, if their samples are paired.
        why_none: why no test could be made, as the end of a sentence.
    """

    about: str
    left: str
    right: str
    metric: RowMetric
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
    def is_evidence(self) -> bool:
        """Whether the test is evidence of a difference."""
        return self.p_of_all is not None and self.p_of_all < LEVEL

    @property
    def difference_text(self) -> str:
        """The difference with its sign, in the unit of tables, such as percentage points."""
        return "-" if self.difference is None else self._text(self.difference)

    def interval_text(self, ends: Interval | None) -> str:
        """Return an interval in the unit of tables."""
        return "-" if ends is None else f"{self._text(ends[0])} to {self._text(ends[1])}"

    @property
    def sentence(self) -> str:
        """The result in words, with the size of the samples and the test."""
        if not self.test or self.difference is None:
            return f"No test of {self.left} against {self.right}: {self.why_none}."
        if self.is_evidence:
            verdict = f"{self.left} is {self._verdict} {self.right} by {self._size}"
        else:
            correction = (
                f", once {self.together} tests are corrected for,"
                if self._is_evidence_alone
                else ""
            )
            verdict = (
                f"No evidence{correction} that {self.left} differs from {self.right}:"
                f" {self.difference_text} {self.metric.unit.name}"
            )
        return f"{verdict}, {self._intervals_text}, {self._basis}."

    @property
    def _is_evidence_alone(self) -> bool:
        """Whether this test would be evidence if it were the only one."""
        return self.p is not None and self.p < LEVEL

    @property
    def _verdict(self) -> str:
        """How the left model compares with the right one: `better than`, `above`, ..."""
        is_higher = (self.difference or 0) > 0
        better = self.metric.better
        if not better:
            return "above" if is_higher else "below"
        return "better than" if is_higher == (better == "more") else "worse than"

    @property
    def _size(self) -> str:
        """The difference without its sign, with its unit."""
        return f"{self.difference_text.lstrip('+-')} {self.metric.unit.name}"

    @property
    def _intervals_text(self) -> str:
        """The intervals in words.

        A sentence such as `A is worse than B by 0.5` has the size of a difference without its sign;
        then the intervals of a negative difference are negated, too.
        """
        shown = self if not self.is_evidence or (self.difference or 0) > 0 else self._negated
        drawn = shown.interval_text(shown.drawn)
        if shown.interval is None:
            text = f"95 % interval {drawn} by the bootstrap"
        else:
            text = f"95 % interval {shown.interval_text(shown.interval)} (bootstrap {drawn})"
        return text.replace("+", "") if self.is_evidence else text

    @property
    def _negated(self) -> "SignificanceTest":
        interval, drawn = (
            None if ends is None else (-ends[1], -ends[0]) for ends in (self.interval, self.drawn)
        )
        return replace(self, interval=interval, drawn=drawn)

    @property
    def _basis(self) -> str:
        """The size of the samples, the name of the test and p, in words."""
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
        unit = self.metric.unit
        rounded = round(value * unit.factor, unit.decimals) + 0.0  # + 0.0 turns -0.0 into 0.0
        return f"{rounded:+.{unit.decimals}f}"


def correct_for_all(results: Sequence[SignificanceTest]) -> list[SignificanceTest]:
    """Return the tests with their p corrected for all of them by Holm's method."""
    p_values = [result.p for result in results if result.p is not None]
    corrected = iter(holm(p_values))
    return [
        result
        if result.p is None
        else replace(result, p_of_all=next(corrected), together=len(p_values))
        for result in results
    ]


def p_text(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.0005 else "<0.001"
