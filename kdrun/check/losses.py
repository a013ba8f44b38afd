"""Whether a stage's loss, networks, data and recipe go together, tried before the start."""

from collections.abc import Mapping

import torch
from torch import nn

from kdrun import model
from kdrun.core.errors import ConfigError, UserError
from kdrun.core.types import Batch, Output, Progress, TapShapes
from kdrun.dataset.data import Data
from kdrun.engine.learners import Learners
from kdrun.loss.base import Loss, losses_in
from kdrun.loss.table import build_loss
from kdrun.model.table import COMPOSED
from kdrun.stage.start import borrowed
from kdrun.stage.tap_binding import BoundTaps, bind_loss
from kdrun.stage.train import Train


def join(
    stage: Train, built: Mapping[str, nn.Module], data: Data, learner: nn.Module | None = None
) -> None:
    """Bind a stage's loss to its networks, and hold it against the recipe.

    Args:
        stage: what is to be tried.
        built: networks by their place in the config.
        data: what the stage works with.
        learner: the network that learns, if it is not the one at its place in the config.

    Raises:
        UserError: they don't go together.
        ConfigError: the network that the loss makes of the student can't be trained so.
    """
    data, recipe = stage.samples(data), stage.recipe
    if data.train.size < recipe.accumulate:
        raise UserError(
            f"stage {stage.info.name!r} has {data.train.size} samples to learn from, and"
            f" accumulate={recipe.accumulate} would part a batch into more.",
            "  use a smaller recipe.accumulate",
        )
    network = learner if learner is not None else built.get(stage.role)
    if network is None or (learner is None and stage.network.name in COMPOSED):
        network = model.build(stage.network.node, data.info)
    loss = build_loss(stage.loss)
    taps = bind_loss(loss, stage, network, [built[one.role] for one in stage.teachers], data)
    _require_learners(stage, loss, network)
    _require_say(stage, loss, data)
    _require_batches(stage, loss, taps, data)
    _require_labels(stage, loss)


def _require_learners(stage: Train, loss: Loss, network: nn.Module) -> None:
    """Whether anything learns in each phase."""
    learners = Learners(network, loss, (*stage.frozen, *borrowed(network)))
    kept = {name: one.requires_grad for name, one in network.named_parameters()}
    for phase in loss.phases():
        if not learners.choose(phase.trains):
            raise UserError(
                "nothing would learn: what the loss and the scheme let learn is frozen.",
                f"  {stage.role}.freeze={list(stage.frozen)}",
            )
    for name, one in network.named_parameters():
        one.requires_grad_(kept[name])


def _require_say(stage: Train, loss: Loss, data: Data) -> None:
    """Whether what is taught counts in some epoch, and not the labels alone."""
    epochs = stage.recipe.epochs_of(data.train.steps(stage.recipe.batch_size))
    main = loss.phases()[-1].name
    each = (Progress(main, epoch, epochs, epoch, epochs) for epoch in range(epochs))
    if not any(loss.ramp(at) for at in each):
        raise UserError(
            f"only labels would count: the loss's own terms have no weight in any of the {epochs}"
            " epochs that are trained.",
            "  train longer, or let them begin sooner: loss.weight, scheme.start",
        )


def _require_batches(stage: Train, loss: Loss, taps: BoundTaps, data: Data) -> None:
    """Whether so few samples as a step computes at once are enough for the loss."""
    fewest = min(stage.recipe.batch_size, data.train.size) // stage.recipe.accumulate
    least = max(part.min_batch for part in losses_in(loss))
    if fewest < least:
        raise UserError(
            f"it compares the samples of a batch, and a step computes {fewest} at once.",
            f"  take {least} or more by recipe.batch_size, or fewer recipe.accumulate",
        )
    if fewest > 1:
        return
    if stage.network.name in COMPOSED:
        faults = model.check_training("student", taps.student.network, data.info, fewest)
        if faults:
            raise ConfigError(faults)
    try:
        _try_one(loss, taps, data)
    except ValueError as error:  # of a norm, which has no statistics of one value
        raise UserError(
            f"its adapters have norms, which can't learn from one sample: {error}.",
            "  take 2 or more by recipe.batch_size, or fewer recipe.accumulate",
        ) from error


def _try_one(loss: Loss, taps: BoundTaps, data: Data) -> None:
    """Each phase of a loss on one sample of zeros."""
    info, zero = data.info, torch.zeros(1, dtype=torch.int64)
    images = torch.zeros(1, info.channels, *info.image_size)
    batch = Batch(images, zero, zero, zero)
    loss.train()
    known = len(info.merge.known) if info.merge else info.num_classes
    student = _blank(taps.student, info.num_classes)
    teacher = _blank(taps.teacher, known) if taps.teacher else None
    for phase in loss.phases():
        loss(student, teacher, batch, Progress(phase.name, 0, 1, 0, 1))


def _blank(seen: TapShapes, classes: int) -> Output:
    taps = {name: torch.zeros(1, *shape[1:]) for name, shape in seen.shapes.items()}
    return Output(torch.zeros(1, classes), taps)


def _require_labels(stage: Train, loss: Loss) -> None:
    """Whether each sample has the one label that the loss tells from the other classes."""
    mixed = [key for key in ("mixup", "cutmix") if getattr(stage.recipe, key)]
    single = [part for part in losses_in(loss) if part.needs_hard_labels]
    if mixed and single:
        raise UserError(
            f"it tells a sample's one label from the other classes, and recipe.{mixed[0]} gives"
            " samples two.",
            f"  set recipe.{mixed[0]}=0, or take a loss on all classes alike: loss=kd",
        )
