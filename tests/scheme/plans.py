"""What the tests of schemes are given: plans of small runs, and sentences of refused ones."""

from pathlib import Path

from tiny import TINY

from kdrun.core.errors import ConfigError, UserError
from kdrun.core.screen import Screen
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.watch import make_watch
from kdrun.preflight import check
from kdrun.runner import Plan
from kdrun.words import read_jobs


def plan(*words: str) -> Plan:
    """The checked plan of a small run with these words."""
    (job,) = read_jobs([*TINY, *words], multirun=False)
    assert not job.faults
    return check(job.tree)


def rows(given: Plan) -> list[str]:
    return [stage.place.row for stage in given.stages]


def reads(given: Plan) -> dict[str, tuple[str, ...]]:
    return {stage.place.name: stage.place.reads for stage in given.stages}


def prints(given: Plan) -> dict[str, str]:
    """The fingerprint of each stage."""
    session = given.session(Screen(), Interrupt(), make_watch("none", Path()))
    return given.fingerprints(session)


def refusal(*words: str) -> str:
    """The one sentence, with status 2, by which a run with these words is refused."""
    try:
        plan(*words)
    except UserError as error:
        assert error.status == 2
        if isinstance(error, ConfigError):
            assert len(error.faults) == 1, error.faults
        return str(error)
    raise AssertionError("it was not refused")
