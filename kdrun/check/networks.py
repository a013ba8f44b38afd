"""Whether networks, weights, loss and batches fit the data and each other: all of it is tried."""

import shutil
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import nn

from kdrun import model
from kdrun.check.losses import join
from kdrun.check.outputs import storable
from kdrun.check.settings import network_settings, teacher_source
from kdrun.check.steps import compressible, split_again
from kdrun.core.config import Config, Network
from kdrun.core.disk import nearest_folder
from kdrun.core.errors import Fault, collect
from kdrun.core.size import size_of
from kdrun.core.taps import resolve_taps
from kdrun.core.types import DataInfo
from kdrun.core.unknown import suggest
from kdrun.dataset.data import Data
from kdrun.engine.learners import Learners, covers
from kdrun.export.trace import try_formats
from kdrun.loss.base import Loss
from kdrun.model.image.vision import load_pretrained
from kdrun.model.table import COMPOSED
from kdrun.scheme.base import teacher_recipe
from kdrun.scheme.table import make_scheme
from kdrun.stage.base import MAIN
from kdrun.stage.given_teacher import artefact_folder, load_teacher
from kdrun.stage.invert import Invert
from kdrun.stage.state_dict import fill, read_checkpoint
from kdrun.stage.train import Train

_RECIPES = {"recipe", "teacher", "teacher.recipe"}
_STAGES = _RECIPES | {
    "student",
    "loss",
    "scheme",
    "controls",
    "stop",
    "compress",
    "teacher_outputs",
}
_ROLES = ("teacher", "student")
_SPARE = 1.2  # how much more disk is asked for than is estimated


def fit(
    config: Config, info: DataInfo, datasets: Mapping[str, Data] | None, sound: set[str]
) -> list[Fault]:
    """All that the data can prove wrong in a config.

    Args:
        config: only its sound keys are looked at.
        info: what is known of the data.
        datasets: the splits, by the scheme's names for them; None where they could not be made,
            which others have told.
        sound: the keys whose settings have no fault of their own.
    """
    faults: list[Fault] = []
    built: dict[str, nn.Module] = {}
    known = _by_role(config, datasets, sound)
    fewest = _fewest(config, known) if known and sound >= _RECIPES else {}
    networks: dict[str, Network] = {role: getattr(config, role) for role in _ROLES if role in sound}
    if sound >= {*_ROLES, "scheme"}:
        networks = make_scheme(config.scheme).networks(config)
    for role, network in networks.items():
        if network.name in COMPOSED and faults:
            continue  # told already, of the networks that it is made of
        if role not in _ROLES:  # the settings of these two were looked at before
            found = network_settings(role, network)
            if found:
                faults += found
                continue
        module, found = try_network(role, network, known[role].info if known else info)
        faults += found
        built |= {role: module} if module is not None else {}
        if found:
            fewest.pop(role, None)  # what can't take the images can't be trained on them
    if known and sound >= _RECIPES:
        faults += _batches(config, known)
    if "teacher" in built:
        own = known["teacher"] if known else None
        faults += _teacher_start(config, built["teacher"], info, own, fewest.get("teacher"))
    if "student" in built:
        frozen = tuple(config.student.freeze)
        faults += _freezing(config, built["student"])
        faults += _training("student", built["student"], info, fewest.get("student"), frozen)
        if "export" in sound and config.export and not faults:
            faults += collect(lambda: try_formats(built["student"], info, config.export), "export")
    complete = "student" in built and built.keys() == networks.keys()
    if datasets is not None and complete and sound >= {*_ROLES} and not faults:
        faults += _together(config, datasets, built, sound)
    return faults


def _by_role(
    config: Config, datasets: Mapping[str, Data] | None, sound: set[str]
) -> Mapping[str, Data]:
    """The data of each network; of all networks the main ones, where the scheme is not sound."""
    if datasets is None:
        return {}
    found: dict[str, Data] = defaultdict(lambda: datasets[MAIN])
    if sound >= {*_ROLES, "scheme"}:
        scheme = make_scheme(config.scheme)
        found |= {role: datasets[scheme.data_of(role)] for role in scheme.networks(config)}
    return found


def try_network(
    role: str, network: Network, info: DataInfo
) -> tuple[nn.Module | None, list[Fault]]:
    """Build a network and run it once.

    Returns:
        The network, None where it can't be built; and the faults, those of images that it can't
        take among them.
    """
    made: list[nn.Module] = []
    faults = collect(lambda: made.append(model.build(network.node, info)), role)
    for module in made:
        faults += model.check_forward(role, module, info) or _taps(role, network, module, info)
    return (made[0] if made else None), faults


def as_trained(network: nn.Module, frozen: tuple[str, ...]) -> nn.Module:
    """The network in the mode that it is trained in: what is frozen stays in eval mode."""
    learners = Learners(network, Loss(), frozen)
    learners.choose(("student.*",))
    learners.train()
    return network


def _taps(role: str, network: Network, module: nn.Module, info: DataInfo) -> list[Fault]:
    """Whether the module paths that the config names are there."""
    return [
        fault
        for key, paths in network.taps.over({}).items()
        for path in paths
        for fault in collect(partial(_place, role, path, module, info), f"{role}.taps.{key}")
    ]


def _place(role: str, path: str, module: nn.Module, info: DataInfo) -> None:
    resolve_taps(role, {path: path}, {}, module, info)


def _batches(config: Config, known: Mapping[str, Data]) -> list[Fault]:
    """Batches that the training split can't fill."""
    sizes = {"recipe": (config.recipe.batch_size, known["student"].train.size)}
    if "batch_size" in (config.teacher.recipe or {}):
        sizes["teacher.recipe"] = teacher_recipe(config).batch_size, known["teacher"].train.size
    return [
        Fault(f"{where}.batch_size", f"{size} is more than the {there} training samples; use fewer")
        for where, (size, there) in sizes.items()
        if size > there
    ]


def _fewest(config: Config, known: Mapping[str, Data]) -> dict[str, int]:
    """The fewest samples that a step computes at once, by role; batches are whole ones."""
    recipes = {"teacher": teacher_recipe(config), "student": config.recipe}
    return {
        role: min(recipe.batch_size, int(known[role].train.has_label.sum())) // recipe.accumulate
        for role, recipe in recipes.items()
    }


def _teacher_start(
    config: Config, built: nn.Module, info: DataInfo, data: Data | None, fewest: int | None
) -> list[Fault]:
    """What the teacher is taken from, or whether it can be trained."""
    teacher = config.teacher
    if teacher_source(teacher):
        return []  # told already: it is not there
    if teacher.run:
        folder = artefact_folder(Path(teacher.run))
        return collect(lambda: _take(teacher, folder, data), "teacher.run")
    if teacher.checkpoint:
        path = Path(teacher.checkpoint)
        return collect(
            lambda: fill(built, read_checkpoint(path), teacher.name, path), "teacher.checkpoint"
        )
    if teacher.weights:
        weights, left = teacher.weights, list[str]()
        faults = collect(
            lambda: left.extend(load_pretrained(built, teacher.name, weights)), "teacher.weights"
        )
        if faults or not left:
            return faults  # weights that are all there are not trained on
    return _training("teacher", built, info, fewest)


def _take(teacher: Network, folder: Path, data: Data | None) -> None:
    if data is not None:  # an artefact knows the names of its classes, and only data do
        load_teacher(teacher, folder, data)


def _training(
    role: str,
    network: nn.Module,
    info: DataInfo,
    fewest: int | None,
    frozen: tuple[str, ...] = (),
) -> list[Fault]:
    """Whether a network can be trained on parts of so few samples."""
    if not fewest:
        return []
    as_trained(network, frozen)
    return model.check_training(role, network, info, fewest)


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
    return f"{config.student.name!r}; {suggest(glob, paths)}"


def _together(
    config: Config, datasets: Mapping[str, Data], built: dict[str, nn.Module], sound: set[str]
) -> list[Fault]:
    """What student and teacher do with each other, and what both need on the disk."""
    faults: list[Fault] = []
    if config.student.init == "teacher" and "teacher" in built:
        faults += _start(config, built)
    if sound >= _STAGES and not teacher_source(config.teacher):
        stages = make_scheme(config.scheme).stages(config)
        for stage in stages:
            if isinstance(stage, Train):
                own = datasets[stage.info.data]
                faults += collect(partial(join, stage, built, own), "loss")
            if isinstance(stage, Invert):
                faults += collect(partial(stage.check, built[stage.role]), "teacher")
        faults += faults or compressible(config, datasets, built, stages)
        faults += faults or storable(config, datasets, stages)
    if "evaluate" in sound and not faults:
        faults += collect(partial(split_again, config, datasets[MAIN]), "evaluate.protocol")
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


def _space(config: Config, built: dict[str, nn.Module]) -> list[Fault]:
    """Checkpoints in two generations while training, then last and best weights."""
    moments = 2 if config.recipe.optimizer["name"].startswith("adam") else 1
    copies = 2 * (1 + moments + bool(config.recipe.ema)) + 2
    written = [*built.values(), *([built["student"]] * len(config.controls))]
    weights = sum(value.nbytes for network in written for value in network.parameters())
    needed = weights * copies * _SPARE
    free = shutil.disk_usage(nearest_folder(Path(config.output_root))).free
    if needed <= free:
        return []
    told = (
        f"needs about {size_of(needed)} below {config.output_root!r}, and {size_of(free)} are free"
    )
    return [Fault("output_root", f"the run {told}; make room, or choose another folder")]
