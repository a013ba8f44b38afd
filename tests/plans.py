"""What the tests of schemes are given: plans of small runs, and sentences of refused ones."""

from collections.abc import Sequence
from pathlib import Path

from tiny import TINY

from kdrun.check.preflight import check
from kdrun.config.compose import compose_runs
from kdrun.core.errors import ConfigError, UserError
from kdrun.core.screen import Screen
from kdrun.engine.interrupt import Interrupt
from kdrun.engine.watch import make_watch
from kdrun.run.plan import Plan
from kdrun.run.runner import run

# The same with networks that have stages.
RESNETS = (
    *(word for word in TINY if not word.startswith(("teacher", "student"))),
    "teacher=resnet14",
    "student=resnet8",
)


def plan(*words: str, base: Sequence[str] = TINY) -> Plan:
    """The checked plan of a small run with these words."""
    (job,) = compose_runs([*base, *words], multirun=False)
    assert not job.faults
    return check(job.tree)


def run_to(folder: Path, *words: str, base: Sequence[str] = TINY) -> Path:
    """Run these words in this process; return the folder, where the run is written."""
    run(plan(*words, base=base), folder, Screen(), "test")
    return folder


def rows(given: Plan) -> list[str]:
    return [stage.info.label for stage in given.stages]


def reads(given: Plan) -> dict[str, tuple[str, ...]]:
    return {stage.info.name: stage.info.reads for stage in given.stages}


def prints(given: Plan) -> dict[str, str]:
    """The fingerprint of each stage."""
    runtime = given.runtime(Screen(), Interrupt(), make_watch("none", Path()))
    return given.fingerprints(runtime)


def refusal(*words: str, base: Sequence[str] = TINY) -> str:
    """The one sentence, with status 2, by which a run with these words is refused."""
    try:
        plan(*words, base=base)
    except UserError as error:
        assert error.status == 2
        if isinstance(error, ConfigError):
            assert len(error.faults) == 1, error.faults
        return str(error)
    raise AssertionError("it was not refused")
