"""Whether networks, weights, loss and batches fit the data and each other: all of it is tried."""

import shutil
from functools import partial
from pathlib import Path

from torch import nn

from kdrun import model
from kdrun.checks import nearest_folder, teacher_source
from kdrun.core.config import Config, Network
from kdrun.core.errors import Fault, collect, nearest
from kdrun.core.taps import place_taps
from kdrun.core.types import DataInfo
from kdrun.dataset.data import Data
from kdrun.engine.learners import covers
from kdrun.model.vision import load_pretrained
from kdrun.stage.plan import teacher_recipe
from kdrun.stage.take import artefact_folder, load_teacher
from kdrun.stage.train import build_loss, seat

_SPARE = 1.2  # how much more disk is asked for than is estimated


def fit(config: Config, data: Data, sound: set[str]) -> list[Fault]:
    """All that the data can prove wrong in a config.

    Args:
        config: only its sound keys are looked at.
        data: the splits.
        sound: the keys whose settings have no fault of their own.
    """
    faults: list[Fault] = []
    built: dict[str, nn.Module] = {}
    for role in ("teacher", "student"):
        if role in sound:
            network, found = try_network(role, config, data.info)
            faults += found
            built |= {role: network} if network is not None else {}
    if {"recipe", "teacher", "teacher.recipe"} <= sound:
        faults += _batches(config, data)
    if "teacher" in built:
        faults += _teacher_source(config, built["teacher"], data)
    if "student" in built:
        faults += _freezing(config, built["student"])
    if len(built) == 2 and not faults:
        faults += _together(config, data, built, sound)
    return faults


def try_network(role: str, config: Config, info: DataInfo) -> tuple[nn.Module | None, list[Fault]]:
    """Build a network and run it once.

    Returns:
        The network, None where it can't be built or can't take the images; and the faults.
    """
    network: Network = getattr(config, role)
    made: list[nn.Module] = []
    faults = collect(lambda: made.append(model.build(network.node, info)), role)
    faults += [one for module in made for one in model.check_forward(role, module, info)]
    if faults:
        return None, faults
    return made[0], _taps(role, network, made[0])


def _taps(role: str, network: Network, module: nn.Module) -> list[Fault]:
    """Whether the module paths that the config names are there."""
    return [
        fault
        for key, paths in network.taps.over({}).items()
        for path in paths
        for fault in collect(partial(_place, role, path, module), f"{role}.taps.{key}")
    ]


def _place(role: str, path: str, module: nn.Module) -> None:
    place_taps(role, {path: path}, {}, module)


def _batches(config: Config, data: Data) -> list[Fault]:
    """Batches that the training split can't fill."""
    sizes = {"recipe": config.recipe.batch_size}
    if "batch_size" in (config.teacher.recipe or {}):
        sizes["teacher.recipe"] = teacher_recipe(config).batch_size
    there = data.train.size
    return [
        Fault(f"{where}.batch_size", f"{size} is more than the {there} training samples; use fewer")
        for where, size in sizes.items()
        if size > there
    ]


def _teacher_source(config: Config, built: nn.Module, data: Data) -> list[Fault]:
    teacher = config.teacher
    if teacher_source(teacher):
        return []  # told already: it is not there
    if teacher.run:
        folder = artefact_folder(Path(teacher.run))
        return collect(lambda: _load(teacher, folder, data), "teacher.run")
    if teacher.checkpoint:
        path = Path(teacher.checkpoint)
        return collect(lambda: _load(teacher, path, data), "teacher.checkpoint")
    if teacher.weights:
        weights = teacher.weights
        return collect(lambda: _pretrain(built, teacher.name, weights), "teacher.weights")
    return []


def _load(teacher: Network, path: Path, data: Data) -> None:
    load_teacher(teacher, path, data)


def _pretrain(built: nn.Module, name: str, weights: str) -> None:
    load_pretrained(built, name, weights)


def _freezing(config: Config, student: nn.Module) -> list[Fault]:
    names = [name for name, _ in student.named_parameters()]
    globs = config.student.freeze
    found = [
        Fault("student.freeze", f"{glob!r} matches no weights of {_near(glob, config, student)}")
        for glob in globs
        if not any(covers(glob, name) for name in names)
    ]
    if not found and all(any(covers(glob, name) for glob in globs) for name in names):
        found.append(Fault("student.freeze", f"{globs} leaves nothing that learns"))
    return found


def _near(glob: str, config: Config, student: nn.Module) -> str:
    modules = student.named_modules()
    paths = [
        name for name, module in modules if name and next(module.parameters(), None) is not None
    ]
    close = nearest(glob, paths)
    told = f"nearest: {close}" if close else f"there are {', '.join(paths[:5])}, ..."
    return f"{config.student.name!r}; {told}"


def _together(
    config: Config, data: Data, built: dict[str, nn.Module], sound: set[str]
) -> list[Fault]:
    """What student and teacher do with each other, and what both need on the disk."""
    faults: list[Fault] = []
    if config.student.init == "teacher":
        faults += _start(config, built)
    if "loss" in sound:
        faults += collect(lambda: _join(config, built, data), "loss")
    if {"recipe", "output_root", "controls"} <= sound:
        faults += _space(config, built)
    return faults


def _start(config: Config, built: dict[str, nn.Module]) -> list[Fault]:
    own, other = (_matrices(built[role]) for role in ("student", "teacher"))
    if own.items() & other.items():
        return []
    names = f"{config.student.name!r} and {config.teacher.name!r}"
    return [
        Fault("student.init", f"no weights of {names} have the same name and shape; use scratch")
    ]


def _matrices(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights that a start is worth: not of biases, norms and counters."""
    found = network.named_parameters()
    return {name: tuple(value.shape) for name, value in found if value.dim() > 1}


def _join(config: Config, built: dict[str, nn.Module], data: Data) -> None:
    loss = build_loss(config.loss)
    own = seat("student", config.student, built["student"], loss.taps().student, data)
    other = seat("teacher", config.teacher, built["teacher"], loss.taps().teacher, data)
    loss.bind(own.shapes, other.shapes if loss.uses_teacher else None, data.info)


def _space(config: Config, built: dict[str, nn.Module]) -> list[Fault]:
    """Checkpoints in two generations while training, then last and best weights."""
    moments = 2 if config.recipe.optimizer["name"].startswith("adam") else 1
    copies = 2 * (1 + moments + bool(config.recipe.ema)) + 2
    written = [built["teacher"], *([built["student"]] * (1 + len(config.controls)))]
    weights = sum(value.nbytes for network in written for value in network.parameters())
    needed = weights * copies * _SPARE
    free = shutil.disk_usage(nearest_folder(Path(config.output_root))).free
    if needed <= free:
        return []
    told = f"needs about {_size(needed)} below {config.output_root!r}, and {_size(free)} are free"
    return [Fault("output_root", f"the run {told}; make room, or choose another folder")]


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
