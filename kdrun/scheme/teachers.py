"""Several teachers of one student."""

from pydantic import PositiveFloat

from kdrun.core.config import Config, Network
from kdrun.core.errors import ConfigError, Fault
from kdrun.loss.teachers import Combine
from kdrun.scheme.base import (
    Scheme,
    control_stages,
    student_stage,
    teacher_recipe,
    teacher_stage,
)
from kdrun.scheme.extra_networks import Models, listed
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.train import Train

Weights = list[PositiveFloat] | None


class SeveralTeachers(Scheme):
    """The config's teacher and others beside it; what they are to the loss: `loss.teachers`."""

    def __init__(self, others: Models, combine: Combine, weights: Weights) -> None:
        self._others = listed("others", others)
        self._combine, self._weights = combine, weights

    def networks(self, config: Config) -> dict[str, Network]:
        return {**super().networks(config), **self._others}

    def stages(self, config: Config) -> list[Stage]:
        teachers = [teacher_stage(config), *self._trained(config)]
        loss = {
            "name": "around_teachers",
            "loss": config.loss,
            "combine": self._combine,
            "weights": self._shares(len(teachers)),
        }
        return [*teachers, *control_stages(config), student_stage(config, teachers, loss)]

    def _trained(self, config: Config) -> list[Stage]:
        """The other teachers, trained as the first one is."""
        return [
            Train(
                StageInfo(name, name, name, shared=True),
                role=role,
                network=network,
                loss={"name": "ce"},
                recipe=teacher_recipe(config),
            )
            for name, (role, network) in zip(self._names(), self._others.items(), strict=True)
        ]

    def _names(self) -> list[str]:
        return [f"teacher{number}" for number in range(2, len(self._others) + 2)]

    def _shares(self, count: int) -> list[float]:
        if self._weights is None:
            return [1.0] * count
        if len(self._weights) != count:
            told = f"{self._weights} are {len(self._weights)} weights for {count} teachers"
            names = ", ".join(["teacher", *self._names()])
            raise ConfigError([Fault("scheme.weights", f"{told}; give one each of {names}")])
        return self._weights
