"""Checks the training of networks: batch sizes, initial weights, frozen layers, a trial pass."""

from pathlib import Path

from torch import nn

from kdrun import model
from kdrun.check.built import RECIPES, ROLES, BuiltRun
from kdrun.check.environment import has_teacher_source
from kdrun.core.unknown import suggest
from kdrun.engine.learners import Learners, covers
from kdrun.loss.base import Loss
from kdrun.model.image.torchvision_models import load_pretrained
from kdrun.model.low_rank_adapters import adapted_layers
from kdrun.scheme.base import teacher_recipe
from kdrun.stage.checkpoint_weights import load_checkpoint
from kdrun.stage.given_teacher import artefact_folder, load_teacher
from kdrun.stage.start import load_start
from kdrun.stage.teacher_layers import chosen_layers, refuse_other_widths
from kdrun.stage.train import Train


def check_batch_sizes(run: BuiltRun) -> None:
    """Check that the training split has enough samples for one batch."""
    if not run.data or not run.sound >= RECIPES:
        return
    sizes = {"recipe": (run.config.recipe.batch_size, run.data["student"].train.size)}
    if "batch_size" in (run.config.teacher.recipe or {}):
        teacher = teacher_recipe(run.config).batch_size, run.data["teacher"].train.size
        sizes["teacher.recipe"] = teacher
    for where, (size, samples) in sizes.items():
        if size > samples:
            message = f"{size} is more than the {samples} training samples; use fewer"
            run.faults.add(f"{where}.batch_size", message)


def check_teacher_start(run: BuiltRun) -> None:
    """Load the teacher's weights from their source; if the run trains it, try a training pass."""
    if "teacher" not in run.modules or not has_teacher_source(run.config):
        return
    teacher, network = run.config.teacher, run.modules["teacher"]
    if teacher.run:
        with run.faults.under("teacher.run"):
            folder = artefact_folder(Path(teacher.run))
            if run.data:  # the names of its classes must agree with the teacher's
                load_teacher(teacher, folder, None, run.data["teacher"])
    elif teacher.checkpoint:
        path, key = Path(teacher.checkpoint), teacher.checkpoint_key
        with run.faults.under("teacher.checkpoint"):
            run.notes += load_checkpoint(network, path, key, teacher.name)
    elif teacher.weights:
        with run.faults.under("teacher.weights"):
            # It returns the parameters that are not pretrained, which the run must train.
            if load_pretrained(network, teacher.name, teacher.weights):
                _try_training(run, "teacher")
    else:
        with run.faults.under("teacher"):
            if run.data:
                load_start(network, teacher.node, run.data["teacher"])
        _try_training(run, "teacher")


def check_frozen_layers(run: BuiltRun) -> None:
    """Check that `student.freeze` names layers of the student, and not all of them."""
    if "student" not in run.modules:
        return
    globs, student = run.config.student.freeze, run.modules["student"]
    names = [name for name, _ in student.named_parameters()]
    unused = [glob for glob in globs if not any(covers(glob, name) for name in names)]
    for glob in unused:
        hint = suggest(glob, _paths_with_weights(student))
        message = f"{glob!r} matches no weights of {run.config.student.name!r}; {hint}"
        run.faults.add("student.freeze", message)
    if not unused and all(any(covers(glob, name) for glob in globs) for name in names):
        run.faults.add("student.freeze", f"{globs} leaves nothing that learns")


def check_student_training(run: BuiltRun) -> None:
    """Try a training pass of the student with its frozen layers."""
    if "student" in run.modules:
        _try_training(run, "student", tuple(run.config.student.freeze))


def check_other_training(run: BuiltRun) -> None:
    """Try a training pass of the scheme's further networks, such as peers and assistants."""
    trained = [stage for stage in run.stages if isinstance(stage, Train)]
    roles = {role for stage in trained for role in (stage.role, *dict(stage.members))}
    for role in [role for role in run.modules if role in roles - ROLES]:
        if not run.faults:  # networks that consist of other ones come last
            _try_training(run, role)


def check_student_start(run: BuiltRun) -> None:
    """Load the weights of files that the student starts from; check that the teacher's fit it."""
    if run.config.student.lora:
        with run.faults.under("student.lora"):
            adapted_layers(run.modules["student"], run.config.student.lora.targets)
    if run.config.student.init == "scratch" and run.data:
        with run.faults.under("student"):
            load_start(run.modules["student"], run.config.student.node, run.data["student"])
    if run.config.student.init != "teacher" or "teacher" not in run.modules:
        return
    student, teacher = (_matrix_shapes(run.modules[role]) for role in ("student", "teacher"))
    if run.config.student.layers:
        with run.faults.under("student.layers"):
            chosen = chosen_layers(run.modules["student"], teacher, run.config.student.layers)
            refuse_other_widths(student, chosen)
    elif not student.items() & teacher.items():
        names = f"{run.config.student.name!r} and {run.config.teacher.name!r}"
        message = f"no weights of {names} have the same name and shape; use scratch"
        run.faults.add("student.init", message)


def as_trained(network: nn.Module, frozen: tuple[str, ...]) -> nn.Module:
    """Put the network in train mode, but frozen modules in eval mode, and return it."""
    learners = Learners(network, Loss(), frozen)
    learners.choose(("student.*",))
    learners.train()
    return network


def _try_training(run: BuiltRun, role: str, frozen: tuple[str, ...] = ()) -> None:
    if role in run.unfit:
        return
    samples = run.fewest_samples(role) or 2  # two are computed if the number is unknown
    network = as_trained(run.modules[role], frozen)
    info = run.data[role].info if run.data else run.info
    run.faults.extend(model.check_training(role, network, info, samples))


def _paths_with_weights(network: nn.Module) -> list[str]:
    modules = [(path, module) for path, module in network.named_modules() if path]
    return [path for path, module in modules if next(module.parameters(), None) is not None]


def _matrix_shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the weights with two or more dimensions: no biases and norms."""
    parameters = network.named_parameters()
    return {name: tuple(value.shape) for name, value in parameters if value.dim() > 1}
