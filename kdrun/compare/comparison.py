"""All that a comparison of runs shows, on the terminal, in files and in the report."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kdrun.compare.gather import Gathered, LeftOut, Run
from kdrun.compare.lines import Line, make_lines
from kdrun.compare.settings import Group, Setting, group
from kdrun.compare.statistics import Estimate

_LAST = "accuracy"


@dataclass(frozen=True)
class Claim:
    """What a test allows to say of a difference.

    Attributes:
        about: control, chosen, baseline or by: why these two are compared.
        model: of the runs, that is compared.
        left: what is compared; a setting's label, or a model.
        right: with what.
        metric: by which figure.
        test: the test's name; empty where none could be made.
        pairs: what is paired: seeds, test samples, settings; empty where nothing is.
        counts: how many values there are on each side; pairs have the same on both.
        difference: left minus right, as the metric's figures are (a share of 1 for top-1).
        interval: the difference's at 95 %, by the test's distribution; None without one.
        drawn: the same by the bootstrap.
        p: of the test by itself.
        p_of_all: the same after Holm's correction for all comparisons made together.
        together: how many these are.
        sentence: all of this in words.
    """

    about: str
    model: str
    left: str
    right: str
    metric: str
    test: str
    pairs: str
    counts: tuple[int, int]
    difference: float | None
    interval: tuple[float, float] | None
    drawn: tuple[float, float] | None
    p: float | None
    p_of_all: float | None
    together: int
    sentence: str


@dataclass(frozen=True)
class Choice:
    """The setting that validation chose; its test figure is only reported.

    Attributes:
        setting: the chosen one; None where none could be.
        by: the validation metric that chose.
        chosen: that metric's estimate.
        tested: the compared metric's estimate.
        sentence: all of this in words, or why nothing was chosen.
    """

    setting: Setting | None
    by: str
    chosen: Estimate | None
    tested: Estimate | None
    sentence: str


@dataclass(frozen=True)
class Marginal:
    """What a key's values come to, averaged over the other keys.

    Attributes:
        key: of the config.
        values: its values, in order.
        estimates: for each value, metric -> estimate over the seeds, or over the blocks of a
            single seed.
        blocks: how many combinations of the other keys have all the values, and are averaged.
        seeds: that all of these have.
        claims: the value that validation chose against each other one.
        sentence: what was averaged over, and what validation chose.
    """

    key: str
    values: Sequence[object]
    estimates: Sequence[Mapping[str, Estimate]]
    blocks: int
    seeds: Sequence[int]
    claims: Sequence[Claim]
    sentence: str


@dataclass(frozen=True)
class Family:
    """Settings that may be held against each other, as one table.

    Attributes:
        number: of the table, from 1.
        reasons: why it can't be held against table 1, in sentences.
        differing: the keys that tell its settings apart.
        settings: by their values, or as sorted.
        lines: of the table.
        model: the model of each run that settings are judged by.
        metric: the test figure that is compared.
        choice: of a setting, on validation; None of one setting.
        claims: tests of differences.
        marginal: by one key, if that was asked for.
        notes: what a reader should know of this table.
    """

    number: int
    reasons: Sequence[str]
    differing: Sequence[str]
    settings: Sequence[Setting]
    lines: Sequence[Line]
    model: str
    metric: str
    choice: Choice | None
    claims: Sequence[Claim]
    marginal: Marginal | None
    notes: Sequence[str]

    def line_of(self, setting: Setting, model: str) -> Line | None:
        """The line of a model of a setting."""
        return next(
            (
                line
                for line in self.lines
                if line.model == model and any(one is setting for one in line.settings)
            ),
            None,
        )


@dataclass(frozen=True)
class Comparison:
    """Runs held against each other.

    Attributes:
        runs: those that count.
        families: tables of comparable settings, the largest first.
        left_out: runs that don't count, and why.
        notes: what a reader should know of all.
    """

    runs: Sequence[Run]
    families: Sequence[Family]
    left_out: Sequence[LeftOut]
    notes: Sequence[str]


def compare(
    gathered: Gathered,
    metric: str | None = None,
    asked: Collection[str] = (),
) -> Comparison:
    """Hold runs against each other.

    Args:
        gathered: the runs.
        metric: the test figure to compare; None for top-1.
        asked: keys that the user compares by.

    Raises:
        UserError: no such metric.
    """
    groups, repeated = group(gathered.runs, asked)
    families = [_family(number, one, metric) for number, one in enumerate(groups, 1)]
    counted = [run for one in groups for setting in one.settings for run in setting.runs.values()]
    return Comparison(counted, families, [*gathered.left_out, *repeated], [])


def _family(number: int, one: Group, asked: str | None) -> Family:
    metric = asked or _LAST
    lines = make_lines(one.settings, metric)
    model = lines[-1].model
    return Family(
        number, one.reasons, one.differing, one.settings, lines, model, metric, None, [], None, []
    )
