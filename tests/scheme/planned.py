"""What the tests of schemes share: the checked plan of a small run."""

from kdrun.preflight import check
from kdrun.runner import Plan
from kdrun.words import read_jobs

SMALL = ("teacher=resnet14", "student=resnet8", "dataset.subset=96", "recipe.batch_size=16")


def plan(*words: str) -> Plan:
    """The plan of these words.

    Raises:
        ConfigError: the words ask for what can't be.
        UserError: likewise.
    """
    (job,) = read_jobs([*SMALL, *words], multirun=False)
    assert not job.faults
    return check(job.tree)
