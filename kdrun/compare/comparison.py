"""All that a comparison of runs shows, on the terminal, in files and in the report."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdrun.compare.asked import Asked, Wanted, fits, settle
from kdrun.compare.choice import Choice, choose
from kdrun.compare.claims import Claim, corrected
from kdrun.compare.gather import Gathered, LeftOut, Run
from kdrun.compare.keys import rank
from kdrun.compare.lines import Line, make_lines
from kdrun.compare.marginal import Marginal, marginal
from kdrun.compare.metrics import METRICS
from kdrun.compare.remarks import remarks
from kdrun.compare.settings import Group, Setting, group
from kdrun.compare.significance import Side, claim_of, side

CONTROL = "alone"
_STUDENT = "distilled"
_TOP1 = ("accuracy", "best_accuracy")


@dataclass(frozen=True)
class Family:
    """Settings that may be held against each other, as one table.

    Attributes:
        number: of the table, from 1.
        reasons: why it can't be held against table 1, in sentences.
        differing: the keys that tell its settings apart.
        settings: by their values, or as they were asked to be sorted.
        judged: of each setting, the line of the model that it is judged by.
        lines: of the table.
        metric: the figure that is compared.
        choice: of a setting, on validation; None where there is only one.
        claims: tests of differences.
        marginal: by one key, if that was asked for.
        notes: what a reader should know of this table, in sentences.
    """

    number: int
    reasons: Sequence[str]
    differing: Sequence[str]
    settings: Sequence[Setting]
    judged: Sequence[Line]
    lines: Sequence[Line]
    metric: str
    choice: Choice | None
    claims: Sequence[Claim]
    marginal: Marginal | None
    notes: Sequence[str]

    def line_of(self, setting: Setting, model: str) -> Line | None:
        """The line of a model of a setting."""
        found = (line for line in self.lines if line.model == model)
        return next((line for line in found if any(one is setting for one in line.settings)), None)


@dataclass(frozen=True)
class Comparison:
    """Runs held against each other.

    Attributes:
        runs: those that count.
        families: tables of comparable settings, the largest first.
        left_out: runs that don't count, and why.
    """

    runs: Sequence[Run]
    families: Sequence[Family]
    left_out: Sequence[LeftOut]


def compare(gathered: Gathered, asked: Asked = Asked()) -> Comparison:  # noqa: B008 - frozen
    """Hold runs against each other.

    Raises:
        UserError: the runs have no such key, value, row or metric.
    """
    asked, runs = settle(asked, gathered.runs)
    groups, repeated = group(runs, asked.keys)
    families = [_family(number, one, asked) for number, one in enumerate(groups, 1)]
    counted = [run for one in groups for setting in one.settings for run in setting.runs.values()]
    return Comparison(counted, families, [*gathered.left_out, *repeated])


def _family(number: int, one: Group, asked: Asked) -> Family:
    metric = asked.metric or _top1(one.settings)
    settings = [setting for setting in one.settings if judged_row(setting, asked.model)]
    lines, judged = _lines(one.settings, settings, metric, asked.model)
    if asked.sort:
        settings = _sorted(settings, judged, asked.sort)
        lines, judged = _lines(settings, settings, metric, asked.model)
    choice = choose(settings, judged, metric) if len(settings) > 1 else None
    return Family(
        number=number,
        reasons=one.reasons,
        differing=one.differing,
        settings=settings,
        judged=judged,
        lines=lines,
        metric=metric,
        choice=choice,
        claims=_claims(settings, judged, metric, choice, asked) if METRICS[metric].split else [],
        marginal=marginal(asked.by, settings, judged, metric) if asked.by else None,
        notes=remarks(settings, lines, metric, asked),
    )


def _top1(settings: Sequence[Setting]) -> str:
    """Top-1 of the last epoch where every run kept it, else of the best by validation."""
    runs = [run for setting in settings for run in setting.runs.values()]
    last, best = _TOP1
    return last if all(run.summary.get("epoch", "last") == "last" for run in runs) else best


def judged_row(setting: Setting, asked: str) -> str:
    """The model that a setting is judged by: the last step of compression, else the distilled.

    Args:
        setting: whose runs have it.
        asked: the row to take; empty for that rule.

    Returns:
        An empty text where no run has the row.
    """
    rows = {model: row for run in setting.runs.values() for model, row in run.rows.items()}
    if asked:
        return asked if asked in rows else ""
    steps = [model for model, row in rows.items() if row.get("versus")]
    return steps[-1] if steps else _STUDENT if _STUDENT in rows else list(rows)[-1]


def _lines(
    shown: Sequence[Setting], settings: Sequence[Setting], metric: str, asked: str
) -> tuple[list[Line], list[Line]]:
    """The table's lines, and of each setting the one that it is judged by."""
    lines = make_lines(shown, metric if METRICS[metric].split else _top1(shown))
    place = {(id(one), line.model): line for line in lines for one in line.settings}
    return lines, [place[id(one), judged_row(one, asked)] for one in settings]


def _sorted(settings: Sequence[Setting], judged: Sequence[Line], by: str) -> list[Setting]:
    """Settings by a key's values, or by a metric, the best first; those without it last."""
    if by not in METRICS:
        return sorted(settings, key=lambda one: rank(one.config.get(by)))
    sign = -1 if METRICS[by].better == "more" else 1

    def merit(at: int) -> float:
        found = judged[at].estimates.get(by)
        return float("inf") if found is None else sign * found.mean

    return [settings[at] for at in sorted(range(len(settings)), key=merit)]


def _claims(
    settings: Sequence[Setting],
    judged: Sequence[Line],
    metric: str,
    choice: Choice | None,
    asked: Asked,
) -> list[Claim]:
    """The tests that are asked for, each kind corrected for how many there are."""
    sides = [
        side(setting.label or line.model, line.model, setting.runs)
        for setting, line in zip(settings, judged, strict=True)
    ]
    row = asked.versus or CONTROL
    others = [side(row, row, setting.runs) for setting in settings]
    over = [
        claim_of(own, other, metric, "baseline" if asked.versus else "control")
        for own, other in zip(sides, others, strict=True)
        if other.runs and own.model != row and not asked.baseline
    ]
    return [*corrected(over), *corrected(_between(settings, sides, metric, choice, asked))]


def _between(
    settings: Sequence[Setting],
    sides: Sequence[Side],
    metric: str,
    choice: Choice | None,
    asked: Asked,
) -> list[Claim]:
    """Settings against the baseline that was named, else the chosen one against each other."""
    if asked.baseline:
        found = [
            (own, _baseline(setting, settings, sides, asked.baseline))
            for setting, own in zip(settings, sides, strict=True)
        ]
        return [claim_of(own, other, metric, "baseline") for own, other in found if other]
    if asked.versus or choice is None:
        return []
    if choice.setting is not None:
        at = next(at for at, one in enumerate(settings) if one is choice.setting)
        others = [one for one in sides if one is not sides[at]]
        return [claim_of(sides[at], other, metric, "chosen") for other in others]
    return [claim_of(sides[0], sides[1], metric, "pair")] if len(sides) == 2 else []


def _baseline(
    setting: Setting, settings: Sequence[Setting], sides: Sequence[Side], wanted: Wanted
) -> Side | None:
    """What a setting is held against: the baseline that agrees with it in all other keys.

    The only baseline is held against all; a baseline itself against none.
    """
    if fits(setting.config, wanted):
        return None
    found = [
        (one, own) for one, own in zip(settings, sides, strict=True) if fits(one.config, wanted)
    ]
    if len(found) == 1:
        return found[0][1]
    rest = [key for key in setting.values if key not in wanted]
    alike = [
        own for one, own in found if all(one.values.get(key) == setting.values[key] for key in rest)
    ]
    return alike[0] if len(alike) == 1 else None
