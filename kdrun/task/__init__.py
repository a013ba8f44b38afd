"""What networks answer: which predictions count, how they are scored, and which score leads.

A task is a line in `TASKS` and a `Task`; nothing outside this room knows the scores of one task.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdrun.core.named_part import part_of
from kdrun.core.unknown import unknown_name

if TYPE_CHECKING:
    from kdrun.task.base import Task

TASKS = {"classification": "kdrun.task.classification:CLASSIFICATION"}
CLASSIFICATION = "classification"  # the task of datasets and of records that name none


def task_of(record: Mapping[str, Any]) -> "Task":
    """Return the task that a dataset's config node, or a record of a run, names under `task`.

    Raises:
        UserError: there is no such task.
    """
    name = record.get("task") or CLASSIFICATION
    if name not in TASKS:
        raise unknown_name("task", name, sorted(TASKS))
    task: Task = part_of(TASKS[name])
    return task
