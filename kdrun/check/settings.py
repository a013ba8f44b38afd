"""Checks of the typed config that need neither the data nor the networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from kdrun import model
from kdrun.check.components import bare_names, check_recipe_components, refuse_bare_names
from kdrun.core.config import Config, Network, Recipe
from kdrun.core.faults import Faults
from kdrun.core.metrics import SHARE, Metric
from kdrun.core.registry import check_model, check_node
from kdrun.core.unknown import unknown_key_of
from kdrun.task import task_of
from kdrun.task.base import Task

TEACHER_RECIPE = "teacher.recipe"


def check_teacher(config: Config, faults: Faults) -> None:
    """Check the teacher's name and settings."""
    check_network_settings("teacher", config.teacher, faults)


def check_student(config: Config, faults: Faults) -> None:
    """Check the student's name and settings."""
    check_network_settings("student", config.student, faults)


def check_network_settings(role: str, network: Network, faults: Faults) -> None:
    """Check a network's name and settings.

    Args:
        role: the network's key in the config: `teacher`, `student`, `scheme.peers.0`.
        network: the network's section of the config.
        faults: receives the faults.
    """
    with faults.under(role):
        builder = model.builder(network.name)
        faults.extend(check_node(role, network.node, builder, model.GIVEN))


def check_bare_names(config: Config, faults: Faults) -> None:
    """Check that an optimizer or schedule in the teacher's recipe comes with its settings."""
    refuse_bare_names(TEACHER_RECIPE, config.teacher.recipe or {}, faults)


def check_teacher_recipe(config: Config, faults: Faults) -> None:
    """Check the keys of the run's recipe that the teacher's recipe changes."""
    _check_changed_recipe(TEACHER_RECIPE, config, config.teacher.recipe or {}, faults)


def check_step_recipes(config: Config, faults: Faults) -> None:
    """Check the keys of the run's recipe that recipes of compression steps change."""
    for key, node in config.compress.nodes.items():
        if node.get("recipe"):
            where = f"compress.{key}.recipe"
            refuse_bare_names(where, node["recipe"], faults)
            _check_changed_recipe(where, config, node["recipe"], faults)


def check_stop_rule(config: Config, faults: Faults) -> None:
    """Check the score of the stop rule, and that the run has the model that it compares with."""
    rule = config.stop.when
    if rule is None:
        return
    if rule.of not in (None, "teacher", *config.controls):
        faults.add("stop.when", f"of {rule.of!r}, which is not among the controls")
    task = task_of(config.dataset)
    allowed = {metric.name: metric for metric in task.scores.values() if _may_stop(metric, task)}
    metric = allowed.get(rule.metric or task.leading().name)
    if metric is None:
        faults.add("stop.when.metric", f"{rule.metric!r} should be {_choices_text(list(allowed))}")
        return
    for key, value in (("reaches", rule.reaches), ("within", rule.within)):
        if metric.unit is SHARE and value is not None and value > 1:
            faults.add(f"stop.when.{key}", f"{value:g} should be less than or equal to 1")


def _may_stop(metric: Metric, task: Task) -> bool:
    """Return whether a stop rule can use a score: the leading one, and shares that should grow."""
    return metric == task.leading() or (metric.unit is SHARE and metric.better == "more")


def _choices_text(names: Sequence[str]) -> str:
    quoted = [repr(name) for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if quoted[:-1] else quoted)


def _check_changed_recipe(
    where: str, config: Config, changes: Mapping[str, Any], faults: Faults
) -> None:
    """Check a recipe that is the run's recipe with some keys changed.

    Args:
        where: the dotted key of the changes.
        config: the config of the run.
        changes: keys of a recipe, and their new values.
        faults: receives the faults.
    """
    known = list(Recipe.model_fields)
    unknown = sorted(changes.keys() - set(known))
    for key in unknown:
        faults.add(f"{where}.{key}", unknown_key_of("a recipe", key, known))
    if unknown:
        return
    bare = bare_names(changes)  # `refuse_bare_names` reports them
    changes = {key: value for key, value in changes.items() if key not in bare}
    recipe = {**config.recipe.model_dump(), **changes}
    faults.extend(check_model(where, recipe, Recipe, "a recipe"))
    check_recipe_components(where, changes, faults)
