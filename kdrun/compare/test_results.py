"""What a test allows to say of a difference, as figures and as a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kdrun.compare.metrics import METRICS
from kdrun.compare.statistics import holm

LEVEL = 0.05  # of p, corrected, below which a difference is called one

Interval = tuple[float, float]


@dataclass(frozen=True)
class SignificanceTest:
    """Two sides, and what a test says of their difference.

    Attributes:
        about: control, chosen, baseline, pair or by: why these two are compared.
        left: what is compared, in the words that tell it.
        right: with what.
        metric: by which figure.
        test: the test's name; empty where none could be made.
        pairs: what is paired: seeds or samples; empty where nothing is.
        counts: how many values there are on each side; pairs have the same on both.
        difference: left minus right, as the metric's figures are: a share of 1 for top-1.
        interval: the difference's at 95 %, by Student's distribution; None without one.
        drawn: the same by the bootstrap.
        p: of the test by itself.
        p_of_all: the same after Holm's correction for all comparisons made together.
        together: how many these are.
        seed: of the two runs whose samples are paired.
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
        """Whether there is evidence of a difference."""
        return self.p_of_all is not None and self.p_of_all < LEVEL

    @property
    def amount(self) -> str:
        """The difference in the metric's unit, with its sign."""
        return "-" if self.difference is None else self._text(self.difference)

    def between(self, ends: Interval | None) -> str:
        """An interval in the metric's unit."""
        return "-" if ends is None else f"{self._text(ends[0])} to {self._text(ends[1])}"

    @property
    def sentence(self) -> str:
        """All of this in words."""
        if not self.test or self.difference is None:
            return f"No test of {self.left} against {self.right}: {self.why_none}."
        if self.found:
            said = f"{self.left} is {self._verdict} {self.right} by {self._size}"
        else:
            once = f", once {self.together} tests are corrected for," if self._lost else ""
            said = (
                f"No evidence{once} that {self.left} differs from {self.right}:"
                f" {self.amount} {METRICS[self.metric].unit.name}"
            )
        return f"{said}, {self._ends}, {self._rests_on}."

    @property
    def _lost(self) -> bool:
        """Whether it would be evidence if it had been the only test."""
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
        """The interval; of a difference that is told without its sign, both ends turned alike."""
        turned = self if not self.found or (self.difference or 0) > 0 else self._turned
        plain = (lambda text: text.replace("+", "")) if self.found else str
        drawn = turned.between(turned.drawn)
        if turned.interval is None:
            return plain(f"95 % interval {drawn} by the bootstrap")
        return plain(f"95 % interval {turned.between(turned.interval)} (bootstrap {drawn})")

    @property
    def _turned(self) -> "SignificanceTest":
        interval, drawn = (
            None if ends is None else (-ends[1], -ends[0]) for ends in (self.interval, self.drawn)
        )
        return replace(self, interval=interval, drawn=drawn)

    @property
    def _rests_on(self) -> str:
        own, other = self.counts
        size = f"{own} {self.pairs}" if self.pairs else f"{own} and {other} seeds, not paired"
        p = f"p {p_text(self.p)}"
        if self.together > 1:
            p += f" ({p_text(self.p_of_all)} after Holm's correction for {self.together})"
        if self.pairs != "samples":
            return f"{size}, {self.test}, {p}"
        return (
            f"{own} test samples, {self.test}, {p}; one run each, of seed {self.seed}: no"
            " claim about the method beyond these two runs"
        )

    def _text(self, value: float) -> str:
        unit = METRICS[self.metric].unit
        rounded = round(value * unit.factor, unit.decimals) + 0.0  # + 0.0 turns -0.0 into 0.0
        return f"{rounded:+.{unit.decimals}f}"


def correct_for_all(results: Sequence[SignificanceTest]) -> list[SignificanceTest]:
    """The claims with their p raised for all of them being looked at together."""
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
