"""What a step is given when a run is planned, and what every step promises."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, cast

from torch import nn

from kdrun.compress.apply_step import Changing
from kdrun.core.config import Config, Recipe
from kdrun.core.errors import UserError
from kdrun.core.registry import build
from kdrun.core.types import DataInfo
from kdrun.scheme.base import teacher_recipe
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.compress import Compress, Search
from kdrun.stage.train import Train
from kdrun.step.table import STEPS, STRENGTHS

Rounds = Literal["", "layers", "network"]


@dataclass(frozen=True)
class Before:
    """What a step follows.

    Attributes:
        config: the run's.
        info: where the step's own stage stands.
        stage: the one before it, whose network it takes.
        origin: the one that trained the network, before all steps.
        teacher: the run's teacher.
        node: the step's own node.
        calibrated: whether it, or a step before it, chooses ranges.
    """

    config: Config
    info: StageInfo
    stage: Stage
    origin: Stage
    teacher: Stage | None
    node: Mapping[str, Any]
    calibrated: bool

    def changed_by(self, step: Changing) -> Compress:
        """A stage in which a step changes the network, without training."""
        target = self.config.compress.target
        search = _search(self.node, target.accuracy_drop) if target is not None else None
        network = self.stage.network
        return Compress(
            self.info, self.stage.role, network, self.node, step, search, self.calibrated
        )

    def recipe(self, lr_share: float, changes: Mapping[str, Any] | None) -> Recipe:
        """How the network learns on: its own recipe with a share of the learning rate.

        Args:
            lr_share: of the learning rate.
            changes: keys that differ besides.
        """
        whole = teacher_recipe(self.config) if self.origin.role == "teacher" else self.config.recipe
        rates = {name: lr * lr_share for name, lr in (whole.lr_by_model or {}).items()}
        own = {"lr": whole.lr * lr_share, "lr_by_model": rates or None, "warmup_epochs": 0.0}
        return Recipe.model_validate({**whole.model_dump(), **own, **(changes or {})})

    def taught(self, loss: Mapping[str, Any] | None, recipe: Recipe) -> Train:
        """A stage in which the network learns on as it did before, from the teacher.

        Args:
            loss: the node of another loss than it learned with.
            recipe: how.
        """
        teachers: tuple[Stage, ...] = (self.teacher,) if self.teacher is not None else ()
        learned: Mapping[str, Any] = self.config.loss
        if isinstance(self.origin, Train) and self.origin.teachers:
            teachers, learned = self.origin.teachers, self.origin.loss
        return self._learning(loss or learned, recipe, teachers)

    def taught_by(self, teacher: Stage, loss: Mapping[str, Any], recipe: Recipe) -> Train:
        """A stage in which the network learns on from the network of another stage."""
        return self._learning(loss, recipe, (teacher,))

    def alone(self, recipe: Recipe) -> Train:
        """A stage in which the network learns on from the labels."""
        return self._learning({"name": "ce"}, recipe, ())

    def _learning(
        self, loss: Mapping[str, Any], recipe: Recipe, teachers: tuple[Stage, ...]
    ) -> Train:
        reads = (*self.info.reads, *(one.info.name for one in teachers))
        return Train(
            replace(self.info, reads=tuple(dict.fromkeys(reads))),
            role=self.stage.role,
            network=self.stage.network,
            loss=loss,
            recipe=recipe,
            teachers=teachers,
            source=self.stage.info.name,
        )


def make_step(node: Mapping[str, Any]) -> "Step":
    """The step that a checked node describes."""
    return build("step", STEPS, node)


def _search(node: Mapping[str, Any], drop: float) -> Search | None:
    """The search for a step's strongest value; None for a step that has nothing to vary.

    Raises:
        UserError: the node says how far in another way.
    """
    if node["name"] not in STRENGTHS:
        return None
    key, mild, strong, others = STRENGTHS[node["name"]]
    for other in others:
        if node[other] is not None:
            raise UserError(
                f"compress.target searches {key} of {node['name']}, which has"
                f" {other}={node[other]}.",
                f"  give one of them: {other}=null, or compress.target=null",
            )

    def step(value: float) -> Changing:
        return cast(Changing, make_step({**node, key: value}))

    return Search(drop, key, mild, strong, step)


class Step(Protocol):
    """One step of compression. The keyword arguments of its constructor are its node's keys.

    Attributes:
        rounds: what it rounds: the weights of layers, or a whole network, with activations whose
            ranges are chosen from samples.
    """

    rounds: Rounds

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Hold the settings against the network, before anything is trained.

        Returns:
            A network of the structure that the step leaves, as far as that is known by then.

        Raises:
            UserError: it can't be done.
        """
        ...

    def stages(self, before: Before) -> list[Stage]:
        """The stages that do it; the last one leaves the step's model."""
        ...
