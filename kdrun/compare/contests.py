"""Which settings are held against which: the control, the chosen one, or a baseline."""

from collections.abc import Sequence

from kdrun.compare.asked import Asked, Wanted, fits
from kdrun.compare.choice import Choice
from kdrun.compare.claims import Claim, corrected
from kdrun.compare.lines import Line
from kdrun.compare.settings import Setting
from kdrun.compare.significance import Side, claim_of, side

CONTROL = "alone"


def claims_of(
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
