"""Names and settings of all components in a config: losses, schemes, steps, optimizers, ..."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from kdrun import dataset
from kdrun.compress.calibrators import CALIBRATORS
from kdrun.core.faults import Faults
from kdrun.core.registry import check_node, keywords, resolve
from kdrun.core.unknown import unknown_name
from kdrun.dataset.text.tokenizers.table import GIVEN as TOKENIZER_GIVEN
from kdrun.dataset.text.tokenizers.table import TOKENIZERS
from kdrun.engine.optimizers import GIVEN as OPTIMIZER_GIVEN
from kdrun.engine.optimizers import OPTIMIZERS
from kdrun.engine.schedules import SCHEDULES
from kdrun.export.table import format_faults
from kdrun.loss.table import LOSSES
from kdrun.measure.protocols import PROTOCOLS
from kdrun.scheme.base import CONTROLS
from kdrun.scheme.table import SCHEMES
from kdrun.step.table import STEPS


class _RecipeComponent(NamedTuple):
    """A kind of component of a recipe.

    Attributes:
        table: name -> "module:attribute".
        passed: parameters that kdrun passes itself, so that the config has no keys for them.
    """

    table: Mapping[str, str]
    passed: tuple[str, ...]


# The key in a recipe -> the kind of component.
_RECIPE_COMPONENTS = {
    "optimizer": _RecipeComponent(OPTIMIZERS, OPTIMIZER_GIVEN),
    "schedule": _RecipeComponent(SCHEDULES, ()),
}


def check_components(tree: Mapping[str, Any], faults: Faults) -> None:
    """Check every component that the config names, except the networks.

    Args:
        tree: the config as plain dicts and lists; missing sections are reported elsewhere.
        faults: receives unknown names, unknown or missing keys, and values out of range.
    """
    loss = _mapping(tree.get("loss"))
    _check_node("loss", tree.get("loss"), "loss", LOSSES, faults)
    _check_node("scheme", tree.get("scheme"), "scheme", SCHEMES, faults)
    _check_terms(_mapping(loss.get("terms")), faults)
    check_recipe_components("recipe", _mapping(tree.get("recipe")), faults)
    with faults.under():
        faults.extend(dataset.check(_mapping(tree.get("dataset"))))
    for role in ("teacher", "student"):
        where, tokenizer = f"{role}.tokenizer", _mapping(tree.get(role)).get("tokenizer")
        _check_node(where, tokenizer, "tokenizer", TOKENIZERS, faults, TOKENIZER_GIVEN)
    _check_controls(_list(tree.get("controls")), faults)
    _check_steps(_mapping(tree.get("compress")), faults)
    protocol = _mapping(tree.get("evaluate")).get("protocol")
    _check_node("evaluate.protocol", protocol, "protocol", PROTOCOLS, faults)
    formats = [name for name in _list(tree.get("export")) if isinstance(name, str)]
    faults.extend(format_faults("export", formats))


def check_recipe_components(where: str, recipe: Mapping[str, Any], faults: Faults) -> None:
    """Check the optimizer and the schedule of a recipe, if it has them.

    Args:
        where: the recipe's dotted key.
        recipe: the recipe's keys and values.
        faults: receives the faults.
    """
    for key, kind in _RECIPE_COMPONENTS.items():
        _check_node(f"{where}.{key}", recipe.get(key), key, kind.table, faults, kind.passed)


def bare_names(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return the components that a recipe names without settings: `{optimizer: adam}`."""
    values = {key: recipe.get(key) for key in _RECIPE_COMPONENTS}
    return {key: value for key, value in values.items() if isinstance(value, str)}


def refuse_bare_names(where: str, recipe: Mapping[str, Any], faults: Faults) -> None:
    """Report components that are named without settings, as no YAML file completes them.

    Args:
        where: the recipe's dotted key, such as `teacher.recipe`.
        recipe: the keys of the run's recipe that this recipe changes, and their values.
        faults: receives the faults, which list the missing settings.
    """
    for key, name in bare_names(recipe).items():
        kind = _RECIPE_COMPONENTS[key]
        with faults.under(f"{where}.{key}"):
            keys = keywords(resolve(key, kind.table, name), kind.passed)
            node = ", ".join([f"name: {name}", *(f"{setting}: ..." for setting in keys)])
            hint = f"give it with all of its keys: {where}={{{key}: {{{node}}}}}"
            faults.add(f"{where}.{key}", f"{name!r} is not a mapping; {hint}")


def _check_terms(terms: Mapping[str, Any], faults: Faults) -> None:
    """Check the losses of a combined loss; none of them may be a combined loss."""
    for key, node in terms.items():
        _check_node(f"loss.terms.{key}", node, "loss", LOSSES, faults)
    for key, node in terms.items():
        if _mapping(node).get("name") == "combined":
            message = "is a combined loss in a combined loss; put its terms beside the others"
            faults.add(f"loss.terms.{key}", message)


def _check_controls(names: list[Any], faults: Faults) -> None:
    known = [name for name in CONTROLS if name in names]
    for name in names:
        if name not in known:
            faults.add("controls", str(unknown_name("control", name, CONTROLS)))
    for name in sorted(name for name in known if names.count(name) > 1):
        faults.add("controls", f"{name!r} is named twice")


def _check_steps(compress: Mapping[str, Any], faults: Faults) -> None:
    """Check the calibrator and the steps of compression, each of which has a node of its own."""
    calibrator = compress.get("calibrator")
    _check_node("compress.calibrator", calibrator, "calibrator", CALIBRATORS, faults)
    keys = [key for key in _list(compress.get("steps")) if isinstance(key, str)]
    for key in dict.fromkeys(keys):
        if keys.count(key) > 1:
            faults.add("compress.steps", f"{key!r} is named twice")
        if not isinstance(compress.get(key), Mapping):
            faults.add("compress.steps", f"{key!r} is no step: compress.{key} has no node")
        _check_node(f"compress.{key}", compress.get(key), "compression step", STEPS, faults)


def _check_node(
    where: str,
    node: Any,
    kind: str,
    table: Mapping[str, str],
    faults: Faults,
    passed: tuple[str, ...] = (),
) -> None:
    if not isinstance(node, Mapping):
        return  # null; or another type, which the typed config reports
    if not isinstance(node.get("name"), str):
        faults.add(f"{where}.name", f"must be given; available: {', '.join(sorted(table))}")
        return
    with faults.under(where):
        faults.extend(check_node(where, node, resolve(kind, table, node["name"]), passed))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
