"""The interface of a compression step, and the context from which a step builds its stages."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, cast

from torch import nn

from kdrun.compress.apply_step import Compressor
from kdrun.core.config import Config, Recipe
from kdrun.core.errors import UserError
from kdrun.core.registry import build
from kdrun.core.types import DataInfo
from kdrun.scheme.base import teacher_recipe
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.compress import Compress
from kdrun.stage.search_strength import StrengthSearch
from kdrun.stage.train import Train
from kdrun.step.strength import Strength
from kdrun.step.table import STEPS

Quantizes = Literal["layers", "network"]


@dataclass(frozen=True)
class StepContext:
    """The context from which a step builds its stages.

    Attributes:
        config: the run's config.
        info: the name, folder and label of the step's last stage.
        previous: the stage before, whose network the step changes.
        origin: the stage that trained the network, before all steps.
        teacher: the stage of the run's teacher.
        node: config node of the step.
        calibrated: whether this step or a step before it calibrates activations.
    """

    config: Config
    info: StageInfo
    previous: Stage
    origin: Stage
    teacher: Stage | None
    node: Mapping[str, Any]
    calibrated: bool

    def compress(self, step: Compressor) -> Compress:
        """Return a stage that applies a step without training."""
        target = self.config.compress.target
        search = _strength_search(self.node, target.accuracy_drop) if target is not None else None
        role, network = self.previous.role, self.previous.network
        return Compress(self.info, role, network, self.node, step, search, self.calibrated)

    def recipe(self, lr_share: float, changes: Mapping[str, Any] | None) -> Recipe:
        """Return the recipe for further training: the network's, with another learning rate.

        Args:
            lr_share: factor of the learning rate.
            changes: other keys of the recipe that differ.
        """
        is_teacher = self.origin.role == "teacher"
        original = teacher_recipe(self.config) if is_teacher else self.config.recipe
        lr_by_model = {name: lr * lr_share for name, lr in (original.lr_by_model or {}).items()}
        rates = {
            "lr": original.lr * lr_share,
            "lr_by_model": lr_by_model or None,
            "warmup_epochs": 0.0,
        }
        return Recipe.model_validate({**original.model_dump(), **rates, **(changes or {})})

    def distill(self, loss: Mapping[str, Any] | None, recipe: Recipe) -> Train:
        """Return a stage that trains the network with the teachers that it was first trained with.

        Args:
            loss: config node of the loss; None for the loss of the first training.
            recipe: the recipe of this training.
        """
        teachers: tuple[Stage, ...] = (self.teacher,) if self.teacher is not None else ()
        first_loss: Mapping[str, Any] = self.config.loss
        if isinstance(self.origin, Train) and self.origin.teachers:
            teachers, first_loss = self.origin.teachers, self.origin.loss
        return self._train(loss or first_loss, recipe, teachers)

    def distill_from(self, teacher: Stage, loss: Mapping[str, Any], recipe: Recipe) -> Train:
        """Return a stage that trains the network with another stage's network as teacher."""
        return self._train(loss, recipe, (teacher,))

    def finetune(self, recipe: Recipe) -> Train:
        """Return a stage that trains the network with the labels alone."""
        return self._train({"name": "ce"}, recipe, ())

    def _train(self, loss: Mapping[str, Any], recipe: Recipe, teachers: tuple[Stage, ...]) -> Train:
        reads = (*self.info.reads, *(teacher.info.name for teacher in teachers))
        return Train(
            replace(self.info, reads=tuple(dict.fromkeys(reads))),
            role=self.previous.role,
            network=self.previous.network,
            loss=loss,
            recipe=recipe,
            teachers=teachers,
            source=self.previous.info.name,
        )


class Step(Protocol):
    """One compression step. The keyword arguments of its constructor are its config node's keys.

    Attributes:
        quantizes: the values that the step rounds: `layers`, the weights of single layers;
            `network`, all weights and activations, with calibrated ranges; or None, nothing.
        strength: the setting that `compress.target` searches; None if it has none.

    A step may also have `needs_labels`: the setting that needs labels, for messages, such as
    `score=taylor`; empty if none does.
    """

    quantizes: Quantizes | None
    strength: Strength | None

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Check, before anything is trained, that the step can be applied to the network.

        Args:
            network: an untrained network with the structure before the step. It may be changed.
            info: the dataset's sizes and classes.

        Returns:
            A network with the structure after the step, as far as it is known before training.

        Raises:
            UserError: the step can't be applied.
        """
        ...

    def stages(self, context: StepContext) -> list[Stage]:
        """Return the stages of the step, in order. The last stage makes the step's model."""
        ...


def make_step(node: Mapping[str, Any]) -> Step:
    """Return the step that a checked config node describes."""
    step: Step = build("step", STEPS, node)
    return step


def _strength_search(node: Mapping[str, Any], max_drop: float) -> StrengthSearch | None:
    """Return the search of a step's strength; None if the step has no strength.

    Raises:
        UserError: another setting of the node already determines the strength.
    """
    strength = make_step(node).strength
    if strength is None:
        return None
    for setting in strength.excludes:
        if node[setting] is not None:
            raise UserError(
                f"compress.target searches {strength.key} of {node['name']}, which has"
                f" {setting}={node[setting]}.",
                f"  give one of them: {setting}=null, or compress.target=null",
            )

    def step_of(value: float) -> Compressor:
        return cast(Compressor, make_step({**node, strength.key: value}))

    return StrengthSearch(max_drop, strength.key, strength.mild, strength.strong, step_of)
