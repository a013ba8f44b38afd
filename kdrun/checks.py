"""The single checks of a config: each answers the faults it found, and raises none."""

import os
import shutil
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from kdrun import dataset, model
from kdrun.core.config import Config, Network, Recipe
from kdrun.core.errors import ConfigError, Fault, KdrunError, nearest
from kdrun.core.registry import check_model, check_node, resolve
from kdrun.dataset.data import Data
from kdrun.engine.learners import covers
from kdrun.engine.optimizers import GIVEN as OPTIMIZER_GIVEN
from kdrun.engine.optimizers import OPTIMIZERS
from kdrun.engine.schedules import SCHEDULES
from kdrun.loss.table import LOSSES
from kdrun.model.vision import load_pretrained
from kdrun.stage.plan import CONTROLS
from kdrun.stage.take import artefact_folder, load_teacher
from kdrun.stage.train import build_loss, build_network, seat

_SPARE = 1.2  # how much more disk is asked for than is estimated


def collect(find: Callable[[], list[Fault] | None], where: str = "") -> list[Fault]:
    """The faults that `find` returns, or those of the error that it raises."""
    try:
        return find() or []
    except ConfigError as error:
        return list(error.faults)
    except KdrunError as error:
        return [Fault(where, str(error))]


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
    recipe = _mapping(tree.get("recipe"))
    return [
        *_registered("loss", tree.get("loss"), "loss", LOSSES),
        *_registered(
            "recipe.optimizer", recipe.get("optimizer"), "optimizer", OPTIMIZERS, OPTIMIZER_GIVEN
        ),
        *_registered("recipe.schedule", recipe.get("schedule"), "schedule", SCHEDULES),
        *collect(lambda: dataset.check(_mapping(tree.get("dataset")))),
        *_controls(tree.get("controls")),
    ]


def network_settings(role: str, network: Network) -> list[Fault]:
    """The model's name and its own keys."""
    return collect(
        lambda: check_node(role, network.node, model.builder(network.name), model.GIVEN), role
    )


def teacher_recipe_keys(config: Config) -> list[Fault]:
    """The teacher's own recipe is the run's with some keys changed."""
    known, own = set(Recipe.model_fields), config.teacher.recipe or {}
    unknown = sorted(own.keys() - known)
    if unknown:
        return [
            Fault(f"teacher.recipe.{key}", f"unknown key; nearest: {nearest(key, known) or known}")
            for key in unknown
        ]
    merged = {**config.recipe.model_dump(), **own}
    return check_model("teacher.recipe", merged, Recipe, "a recipe")


def surroundings(config: Config) -> list[Fault]:
    """What the config needs around it: runs, extras, a folder that can be written."""
    rule = config.stop.when
    found = []
    if config.teacher.run:
        path = Path(config.teacher.run)
        found += collect(lambda: _is_there(path))
    if rule is not None and rule.of == "alone" and "alone" not in config.controls:
        found.append(Fault("stop.when", "of 'alone', which is not among the controls"))
    if config.logger == "tensorboard" and find_spec("tensorboard") is None:
        found.append(Fault("logger", "'tensorboard' needs an extra: pip install 'kdrun[tb]'"))
    return found + _writable(Path(config.output_root))


def networks(config: Config, data: Data, join: bool) -> list[Fault]:
    """Build both networks, run each once, load the teacher's weights, join both by the loss."""
    teacher = build_network(config.teacher.node, data, config.seed, "teacher")
    student = build_network(config.student.node, data, config.seed, "student")
    found = model.check_forward("teacher", teacher, data.info)
    found += model.check_forward("student", student, data.info)
    if not found:
        found += collect(lambda: _teacher_source(config, teacher, data), "teacher")
        found += _freezing(config, student)
        if join:
            found += collect(lambda: _join(config, teacher, student, data), "loss")
        found += _space(config, teacher, student)
    return found


def _registered(
    where: str,
    node: Any,
    kind: str,
    table: Mapping[str, str],
    given: tuple[str, ...] = (),
) -> list[Fault]:
    if not isinstance(node, Mapping) or "name" not in node:
        return []  # the typed root has complained of it
    return collect(
        lambda: check_node(where, node, resolve(kind, table, node["name"]), given), where
    )


def _controls(names: Any) -> list[Fault]:
    return [
        Fault("controls", f"no control is called {name!r}; there is {', '.join(CONTROLS)}")
        for name in (names if isinstance(names, list) else [])
        if name not in CONTROLS
    ]


def _is_there(run: Path) -> None:
    artefact_folder(run)


def _teacher_source(config: Config, built: nn.Module, data: Data) -> None:
    teacher = config.teacher
    if teacher.run:
        load_teacher(teacher, artefact_folder(Path(teacher.run)), data)
    elif teacher.checkpoint:
        load_teacher(teacher, Path(teacher.checkpoint), data)
    elif teacher.weights:
        load_pretrained(built, teacher.name, teacher.weights)


def _freezing(config: Config, student: nn.Module) -> list[Fault]:
    names = [name for name, _ in student.named_parameters()]
    modules = [name for name, _ in student.named_modules() if name]
    globs = config.student.freeze
    found = [
        Fault(
            "student.freeze",
            f"{glob!r} matches no module of {config.student.name!r}; nearest:"
            f" {nearest(glob, modules) or ', '.join(modules[:5])}",
        )
        for glob in globs
        if not any(covers(glob, name) for name in names)
    ]
    if not found and all(any(covers(glob, name) for glob in globs) for name in names):
        found.append(Fault("student.freeze", f"{globs} leaves nothing that learns"))
    return found


def _join(config: Config, teacher: nn.Module, student: nn.Module, data: Data) -> None:
    loss = build_loss(config.loss)
    own = seat("student", config.student, student, loss.taps().student, data)
    other = seat("teacher", config.teacher, teacher, loss.taps().teacher, data)
    loss.bind(own.shapes, other.shapes if loss.uses_teacher else None, data.info)


def _space(config: Config, teacher: nn.Module, student: nn.Module) -> list[Fault]:
    """Checkpoints in two generations while training, then last and best weights."""
    moments = 2 if config.recipe.optimizer["name"].startswith("adam") else 1
    copies = 2 * (1 + moments + bool(config.recipe.ema)) + 2
    networks_written = [teacher, *([student] * (1 + len(config.controls)))]
    weights = sum(value.nbytes for network in networks_written for value in network.parameters())
    needed, root = weights * copies * _SPARE, _existing(Path(config.output_root))
    free = shutil.disk_usage(root).free
    if needed <= free:
        return []
    return [
        Fault(
            "output_root",
            f"the run needs about {needed / 1e6:.0f} MB below {config.output_root!r}, and"
            f" {free / 1e6:.0f} MB are free",
        )
    ]


def _writable(root: Path) -> list[Fault]:
    existing = _existing(root)
    if not existing.is_dir():
        return [Fault("output_root", f"{str(root)!r} can't be made: {str(existing)!r} is a file")]

    if os.access(existing, os.W_OK | os.X_OK):
        return []
    return [Fault("output_root", f"{str(existing)!r} can't be written; choose another folder")]


def _existing(path: Path) -> Path:
    """The nearest folder above that is there."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
