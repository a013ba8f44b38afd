"""What a test allows to say of a difference, as figures and as a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kdrun.compare.metrics import METRICS
from kdrun.compare.statistics import holm

LEVEL = 0.05  # of p, corrected, below which a difference is called one

Interval = tuple[float, float]


@dataclass(frozen=True)
class Claim:
    """Two sides, and what a test says of their difference.

    Attributes:
        about: control, chosen, baseline, pair or by: why these two are compared.
        left: what is compared, in the words that tell it.
        right: with what.
        metric: by which figure.
        test: the test's name; empty where none could be made.
        pairs: what is paired: seeds, samples or settings; empty where nothing is.
        counts: how many values there are on each side; pairs have the same on both.
        difference: left minus right, as the metric's figures are: a share of 1 for top-1.
        interval: the difference's at 95 %, by Student's distribution; None without one.
        drawn: the same by the bootstrap.
        p: of the test by itself.
        p_of_all: the same after Holm's correction for all comparisons made together.
        together: how many these are.
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
    why_none: str = ""

    @property
    def found(self) -> bool:
        """Whether there is evidence of a difference."""
        return self.p_of_all is not None and self.p_of_all < LEVEL

    @property
    def sentence(self) -> str:
        """All of this in words."""
        if not self.test or self.difference is None:
            return f"No test of {self.left} against {self.right}: {self.why_none}."
        if self.found:
            said = f"{self.left} is {self._verdict} {self.right} by {self._amount(+1)}"
        else:
            said = (
                f"No evidence that {self.left} differs from {self.right}: {self._signed}"
                if self.p is None or self.p >= LEVEL
                else f"No evidence, once {self.together} comparisons are corrected for, that"
                f" {self.left} differs from {self.right}: {self._signed}"
            )
        return f"{said}, {self._rests_on}."

    @property
    def _verdict(self) -> str:
        more = (self.difference or 0) > 0
        better = METRICS[self.metric].better
        if not better:
            return "above" if more else "below"
        return "better than" if more == (better == "more") else "worse than"

    def _amount(self, sign: int) -> str:
        """The difference without its sign, and its interval turned accordingly."""
        down = (self.difference or 0) < 0
        return self._shown(-1 if down else sign, "")

    @property
    def _signed(self) -> str:
        return self._shown(1, "+")

    def _shown(self, sign: int, plus: str) -> str:
        one = METRICS[self.metric]

        def text(value: float) -> str:
            return f"{sign * value * one.factor:{plus}.{2 if one.factor > 1 else 3}f}"

        ends = self.interval or self.drawn
        low, high = sorted(ends, key=lambda end: sign * end) if ends else (None, None)
        told = f"{text(self.difference or 0)} {one.unit}"
        if low is not None and high is not None:
            told += f", 95 % interval {text(low)} to {text(high)}"
        if self.interval and self.drawn:
            low, high = sorted(self.drawn, key=lambda end: sign * end)
            told += f" (bootstrap {text(low)} to {text(high)})"
        elif self.drawn:
            told += " by the bootstrap"
        return told

    @property
    def _rests_on(self) -> str:
        own, other = self.counts
        if self.pairs:
            what = {"samples": "test samples of one run each"}.get(self.pairs, self.pairs)
            size = f"{own} {what}"
        else:
            size = f"{own} and {other} seeds, not paired"
        p = f"p {chance(self.p)}"
        if self.together > 1:
            p += f" ({chance(self.p_of_all)} after Holm's correction for {self.together})"
        end = "; no claim about the method beyond these two runs" if self.pairs == "samples" else ""
        return f"{size}, {self.test}, {p}{end}"


def corrected(claims: Sequence[Claim]) -> list[Claim]:
    """The claims with their p raised for all of them being looked at together."""
    tested = [claim.p for claim in claims if claim.p is not None]
    raised = iter(holm(tested))
    return [
        claim if claim.p is None else replace(claim, p_of_all=next(raised), together=len(tested))
        for claim in claims
    ]


def chance(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.3f}" if p >= 0.0005 else "<0.001"
