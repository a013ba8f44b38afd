"""The single checks of a config on its own: each answers the faults it found, and raises none."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kdrun import dataset, model
from kdrun.compress.calibrators import CALIBRATORS
from kdrun.core.config import Config, Network, Recipe, Teacher
from kdrun.core.errors import Fault, collect
from kdrun.core.registry import check_model, check_node, keywords, resolve
from kdrun.core.unknown import unknown_key_of, unknown_name
from kdrun.engine.optimizers import GIVEN as OPTIMIZER_GIVEN
from kdrun.engine.optimizers import OPTIMIZERS
from kdrun.engine.schedules import SCHEDULES
from kdrun.export.table import format_faults
from kdrun.loss.table import LOSSES
from kdrun.measure.protocols import PROTOCOLS
from kdrun.scheme.base import CONTROLS
from kdrun.scheme.table import SCHEMES
from kdrun.stage.given_teacher import artefact_folder
from kdrun.step.table import STEPS

# What a recipe is made of: its key -> the table of what there is, and what kdrun passes itself.
_PARTS: dict[str, tuple[Mapping[str, str], tuple[str, ...]]] = {
    "optimizer": (OPTIMIZERS, OPTIMIZER_GIVEN),
    "schedule": (SCHEDULES, ()),
}


def forbidden(where: str, value: Any) -> list[Fault]:
    """`_target_` anywhere: a config names parts and never calls code."""
    if isinstance(value, list):
        return [fault for item in value for fault in forbidden(where, item)]
    if not isinstance(value, Mapping):
        return []
    found = [Fault(f"{where}._target_", "is refused: a config names parts, it calls no code")]
    inner = [
        fault
        for key, item in value.items()
        for fault in forbidden(f"{where}.{key}" if where else str(key), item)
    ]
    return (found if "_target_" in value else []) + inner


def parts(tree: Mapping[str, Any]) -> list[Fault]:
    """Names and settings of everything that a table knows, as far as the tree has them."""
    return [
        *_registered("loss", tree.get("loss"), "loss", LOSSES),
        *_registered("scheme", tree.get("scheme"), "scheme", SCHEMES),
        *_terms(_mapping(_mapping(tree.get("loss")).get("terms"))),
        *_recipe_parts("recipe", tree.get("recipe")),
        *collect(lambda: dataset.check(_mapping(tree.get("dataset")))),
        *_controls(tree.get("controls")),
        *_steps(_mapping(tree.get("compress"))),
        *_protocol(_mapping(tree.get("evaluate")).get("protocol")),
        *_formats(tree.get("export")),
    ]


def network_settings(role: str, network: Network) -> list[Fault]:
    """The model's name and its own keys."""
    return collect(
        lambda: check_node(role, network.node, model.builder(network.name), model.GIVEN), role
    )


def teacher_recipe(config: Config) -> list[Fault]:
    """The teacher's own recipe is the run's with some keys changed."""
    return _changed_recipe("teacher.recipe", config, config.teacher.recipe or {})


def step_recipes(config: Config) -> list[Fault]:
    """So is that of a step which learns on."""
    owns = {
        f"compress.{key}.recipe": node["recipe"]
        for key, node in config.compress.nodes.items()
        if node.get("recipe")
    }
    return [
        fault
        for where, own in owns.items()
        for fault in (*bare_recipe_parts(where, own), *_changed_recipe(where, config, own))
    ]


def bare_recipe_parts(where: str, own: Mapping[str, Any]) -> list[Fault]:
    """Parts of such a recipe that are given by name alone: no group completes them."""
    named = _bare_names(own).items()
    return [fault for key, name in named for fault in _incomplete(where, key, name)]


def _changed_recipe(where: str, config: Config, own: Mapping[str, Any]) -> list[Fault]:
    known = list(Recipe.model_fields)
    unknown = sorted(own.keys() - set(known))
    if unknown:
        return [Fault(f"{where}.{key}", unknown_key_of("a recipe", key, known)) for key in unknown]
    own = {key: value for key, value in own.items() if key not in _bare_names(own)}
    merged = {**config.recipe.model_dump(), **own}
    return [*check_model(where, merged, Recipe, "a recipe"), *_recipe_parts(where, own)]


def teacher_source(teacher: Teacher) -> list[Fault]:
    """Whether the run or the file that the teacher is to be taken from is there."""
    if teacher.run:
        path = Path(teacher.run)
        return collect(lambda: _is_there(path), "teacher.run")
    if not teacher.checkpoint or Path(teacher.checkpoint).is_file():
        return []
    if Path(teacher.checkpoint).is_dir():
        what = f"{teacher.checkpoint!r} is a folder; a run's is given as teacher.run"
    else:
        what = f"there is no file {teacher.checkpoint!r}"
    return [Fault("teacher.checkpoint", what)]


def stop_rule(config: Config) -> list[Fault]:
    """Whether the model that the student is to come near is trained in this run."""
    rule = config.stop.when
    if rule is None or rule.of in (None, "teacher", *config.controls):
        return []
    return [Fault("stop.when", f"of {rule.of!r}, which is not among the controls")]


def logger(name: str) -> list[Fault]:
    """Whether the extra that a logger needs is there."""
    if name != "tensorboard" or find_spec("tensorboard") is not None:
        return []
    return [Fault("logger", "'tensorboard' needs an extra: pip install 'kdrun[tb]'")]


def _bare_names(recipe: Mapping[str, Any]) -> dict[str, str]:
    found = {key: recipe.get(key) for key in _PARTS}
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _incomplete(recipe: str, key: str, name: str) -> list[Fault]:
    where, (table, given) = f"{recipe}.{key}", _PARTS[key]
    keys: list[str] = []
    faults = collect(lambda: keys.extend(keywords(resolve(key, table, name), given)), where)
    node = ", ".join([f"name: {name}", *(f"{one}: ..." for one in keys)])
    whole = f"give it with all of its keys: {recipe}={{{key}: {{{node}}}}}"
    return faults or [Fault(where, f"{name!r} is not a mapping; {whole}")]


def _terms(nodes: Mapping[str, Any]) -> list[Fault]:
    """The parts of a combined loss, each a loss's own node."""
    found = [
        fault
        for key, node in nodes.items()
        for fault in _registered(f"loss.terms.{key}", node, "loss", LOSSES)
    ]
    inner = [key for key, node in nodes.items() if _mapping(node).get("name") == "combined"]
    told = "is a sum inside a sum; put its terms beside the others"
    return found + [Fault(f"loss.terms.{key}", told) for key in inner]


def _steps(compress: Mapping[str, Any]) -> list[Fault]:
    """The steps of compression, each a step's own node, and the calibrator."""
    keys = compress.get("steps")
    named = keys if isinstance(keys, list) else []
    found = _registered(
        "compress.calibrator", compress.get("calibrator"), "calibrator", CALIBRATORS
    )
    for key in dict.fromkeys(named):
        if named.count(key) > 1:
            found.append(Fault("compress.steps", f"{key!r} is named twice"))
        if not isinstance(compress.get(key), Mapping):
            found.append(Fault("compress.steps", f"{key!r} is no step: compress.{key} has no node"))
        found += _registered(f"compress.{key}", compress.get(key), "compression step", STEPS)
    return found


def _protocol(node: Any) -> list[Fault]:
    if node is None:
        return []
    return _registered("evaluate.protocol", node, "protocol", PROTOCOLS)


def _recipe_parts(where: str, recipe: Any) -> list[Fault]:
    """The optimizer and the schedule of a recipe, as far as it has them."""
    found = _mapping(recipe)
    return [
        fault
        for key, (table, given) in _PARTS.items()
        for fault in _registered(f"{where}.{key}", found.get(key), key, table, given)
    ]


def _registered(
    where: str,
    node: Any,
    kind: str,
    table: Mapping[str, str],
    given: tuple[str, ...] = (),
) -> list[Fault]:
    if not isinstance(node, Mapping):
        return []  # the typed root has complained of it
    if not isinstance(node.get("name"), str):
        return [Fault(f"{where}.name", f"must be given; available: {', '.join(sorted(table))}")]
    return collect(
        lambda: check_node(where, node, resolve(kind, table, node["name"]), given), where
    )


def _controls(names: Any) -> list[Fault]:
    given = names if isinstance(names, list) else []
    unknown = [name for name in given if name not in CONTROLS]
    twice = sorted({name for name in given if name in CONTROLS and given.count(name) > 1})
    return [Fault("controls", str(unknown_name("control", name, CONTROLS))) for name in unknown] + [
        Fault("controls", f"{name!r} is named twice") for name in twice
    ]


def _formats(names: Any) -> list[Fault]:
    given = names if isinstance(names, list) else []
    return format_faults("export", [name for name in given if isinstance(name, str)])


def _is_there(run: Path) -> None:
    artefact_folder(run)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
