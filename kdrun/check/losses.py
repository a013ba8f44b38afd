"""Checks whether a stage's loss, networks, data and recipe fit each other."""

from collections.abc import Mapping

import torch
from torch import nn

from kdrun import model
from kdrun.check.built import BuiltRun
from kdrun.core.errors import ConfigError, UserError
from kdrun.core.taps import token_mask
from kdrun.core.types import Batch, Output, Progress, TapShapes
from kdrun.dataset.data import Data
from kdrun.engine.learners import Learners
from kdrun.loss.base import Loss, losses_in
from kdrun.loss.table import build_loss
from kdrun.model.table import COMPOSED
from kdrun.stage.invert import Invert
from kdrun.stage.start import shared_modules
from kdrun.stage.tap_binding import BoundTaps, bind_loss
from kdrun.stage.train import Train


def check_losses(run: BuiltRun) -> None:
    """Check every stage of the scheme that trains a network or makes images from the teacher."""
    for stage in run.stages:
        if isinstance(stage, Train):
            with run.faults.under("loss"):
                check_loss(stage, run.modules, run.datasets[stage.info.data])
        if isinstance(stage, Invert):
            with run.faults.under("teacher"):
                stage.check(run.modules[stage.role], run.info)


def check_loss(
    stage: Train,
    modules: Mapping[str, nn.Module],
    data: Data,
    learner: nn.Module | None = None,
) -> None:
    """Bind a stage's loss to its networks, and check it against the recipe.

    Args:
        stage: the stage that trains with the loss.
        modules: the networks of the scheme, by role.
        data: the splits that the stage uses.
        learner: the network that learns; by default, that of the stage's role.

    Raises:
        UserError: loss, networks, data and recipe do not fit each other.
        ConfigError: the network that the loss builds around the student cannot be trained on the
            few samples that a step computes at once.
    """
    data = stage.samples(data)
    _require_samples(stage, data)
    network = learner if learner is not None else modules.get(stage.role)
    if network is None or (learner is None and stage.network.name in COMPOSED):
        network = model.build(stage.network.node, data.info)
    loss, teachers = build_loss(stage.loss), [modules[teacher.role] for teacher in stage.teachers]
    taps = bind_loss(loss, stage, network, teachers, data)
    _require_learners(stage, loss, network)
    _require_teaching_epochs(stage, loss, data)
    _require_batch_size(stage, loss, taps, data)
    _require_hard_labels(stage, loss)
    _require_images_to_mix(stage, data)


def _require_samples(stage: Train, data: Data) -> None:
    """Require at least one sample for each of the `accumulate` parts of a batch."""
    if data.train.size < stage.recipe.accumulate:
        raise UserError(
            f"stage {stage.info.name!r} has {data.train.size} samples to learn from, and"
            f" accumulate={stage.recipe.accumulate} would divide a batch into more parts.",
            "  use a smaller recipe.accumulate",
        )


def _require_learners(stage: Train, loss: Loss, network: nn.Module) -> None:
    """Require that the loss has a phase, and that some parameter learns in each."""
    if not loss.phases():
        raise UserError("the loss declares no phase, so nothing would be trained.")
    learners = Learners(network, loss, (*stage.frozen, *shared_modules(network)))
    flags = {name: value.requires_grad for name, value in network.named_parameters()}
    for phase in loss.phases():
        if not learners.choose(phase.trains):
            raise UserError(
                "nothing would learn: what the loss and the scheme let learn is frozen.",
                f"  {stage.role}.freeze={list(stage.frozen)}",
            )
    for name, value in network.named_parameters():
        value.requires_grad_(flags[name])


def _require_teaching_epochs(stage: Train, loss: Loss, data: Data) -> None:
    """Require an epoch of the main phase in which the distillation terms have a weight above 0."""
    epochs = stage.recipe.epochs_of(data.train.steps(stage.recipe.batch_size))
    main = loss.phases()[-1].name
    # Two steps an epoch: a weight may be 0 in one of them.
    steps = (Progress(main, step // 2, epochs, step, 2 * epochs) for step in range(2 * epochs))
    if not any(loss.ramp(progress) for progress in steps):
        raise UserError(
            "only labels would count: the terms of the loss have weight 0 in each of the"
            f" {epochs} epochs that are trained.",
            "  train longer, or let them begin sooner: loss.weight, scheme.start",
        )


def _require_batch_size(stage: Train, loss: Loss, taps: BoundTaps, data: Data) -> None:
    """Require that a step computes as many samples at once as the loss and its adapters need."""
    fewest = min(stage.recipe.batch_size, data.train.size) // stage.recipe.accumulate
    needed = max(inner.min_batch for inner in losses_in(loss))
    if fewest < needed:
        raise UserError(
            f"it compares the samples of a batch, and a step computes {fewest} at once.",
            f"  take {needed} or more by recipe.batch_size, or fewer recipe.accumulate",
        )
    if fewest > 1:
        return
    if stage.network.name in COMPOSED:
        faults = model.check_training("student", taps.student.network, data.info, fewest)
        if faults:
            raise ConfigError(faults)
    try:
        _compute_on_one_sample(loss, taps, data)
    except ValueError as error:  # raised by a norm, which can't compute statistics of one value
        raise UserError(
            f"its adapters have norms, which can't learn from one sample: {error}.",
            "  take 2 or more by recipe.batch_size, or fewer recipe.accumulate",
        ) from error


def _compute_on_one_sample(loss: Loss, taps: BoundTaps, data: Data) -> None:
    """Compute each phase of a loss for one blank sample; all outputs are zeros."""
    info, zero = data.info, torch.zeros(1, dtype=torch.int64)
    batch = Batch(info.example(1), zero, zero, zero)
    loss.train()
    teacher_classes = len(info.merge.known) if info.merge else info.num_classes
    student = _zero_output(taps.student, info.num_classes, batch)
    teacher = _zero_output(taps.teacher, teacher_classes, batch) if taps.teacher else None
    for phase in loss.phases():
        loss(student, teacher, batch, Progress(phase.name, 0, 1, 0, 1))


def _zero_output(network: TapShapes, classes: int, batch: Batch) -> Output:
    """Return an output for one sample, of zeros in the shapes of the network's taps."""
    taps = {name: torch.zeros(1, *shape[1:]) for name, shape in network.shapes.items()}
    return Output(torch.zeros(1, classes), taps, token_mask(network.network, batch.inputs))


def _mixing(stage: Train) -> list[str]:
    """Return the keys of the recipe by which it mixes samples."""
    return [key for key in ("mixup", "cutmix") if getattr(stage.recipe, key)]


def _require_images_to_mix(stage: Train, data: Data) -> None:
    """Refuse mixup and cutmix of other samples than images."""
    if _mixing(stage) and data.info.inputs.modality != "image":
        raise UserError(
            f"recipe.{_mixing(stage)[0]} mixes the pixels of images, and the dataset has"
            f" {data.info.inputs}.",
            f"  set recipe.{_mixing(stage)[0]}=0; recipe.label_smoothing serves all inputs",
        )


def _require_hard_labels(stage: Train, loss: Loss) -> None:
    """Refuse mixup and cutmix, which give a sample two labels, if the loss needs a single label."""
    mixing = _mixing(stage)
    if mixing and any(inner.needs_hard_labels for inner in losses_in(loss)):
        raise UserError(
            "it needs one label for each sample, which it treats unlike the other classes, and"
            f" recipe.{mixing[0]} gives samples two.",
            f"  set recipe.{mixing[0]}=0, or take a loss that treats all classes alike: loss=kd",
        )
