"""Several teachers."""

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
from kdrun.scheme.extra_networks import Models, extra_networks
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.train import Train

Weights = list[PositiveFloat] | None


class Teachers(Scheme):
    """Several teachers: combined logits, features of each.

    Formula:
        sum_k w_k L(z, features of teacher k), L: the loss of the config, w_k: weights of sum 1
        combine=probabilities: z = T log sum_k w_k softmax(z_k / T), T: the temperature of L
        combine=logits: z = sum_k w_k z_k, whose softmax is the geometric mean, normalized
        combine=best: z = z_k of the teacher k with the lowest CE(y, z_k), chosen for each sample

    Paper:
        Hinton et al. 2015, Distilling the Knowledge in a Neural Network, arXiv:1503.02531, section
        1 (the arithmetic and the geometric mean of an ensemble)

    Needs:
        - two teachers or more
        - a loss that learns from a teacher

    Notes:
        - The mean of probabilities and the mean of logits are different objectives.
        - Probabilities are averaged at the temperature of the loss; all losses of a sum must have
          the same temperature.
        - For each teacher, separate adapters compare its features with the student's; these terms
          are weighted by w_k too.
        - combine=best reads the label of each training sample and does not use the weights for
          logits.
        - The column of agreement compares the student with the first teacher. The run trains all
          the other teachers; they can't be taken from another run.
    """

    def __init__(self, others: Models, combine: Combine, weights: Weights) -> None:
        self._others = extra_networks("others", others)
        self._combine, self._weights = combine, weights

    def networks(self, config: Config) -> dict[str, Network]:
        return {**super().networks(config), **self._others}

    def stages(self, config: Config) -> list[Stage]:
        teachers = [teacher_stage(config), *self._other_teachers(config)]
        loss = {
            "name": "around_teachers",
            "loss": config.loss,
            "combine": self._combine,
            "weights": self._checked_weights(len(teachers)),
        }
        return [*teachers, *control_stages(config), student_stage(config, teachers, loss)]

    def _other_teachers(self, config: Config) -> list[Stage]:
        """Return the stages that train the other teachers, by the recipe of the first teacher."""
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
        """Return the names of the other teachers: `teacher2`, `teacher3`, ..."""
        return [f"teacher{number}" for number in range(2, len(self._others) + 2)]

    def _checked_weights(self, count: int) -> list[float]:
        """Return one weight for each teacher."""
        if self._weights is None:
            return [1.0] * count
        if len(self._weights) != count:
            message = f"{self._weights} are {len(self._weights)} weights for {count} teachers"
            names = ", ".join(["teacher", *self._names()])
            raise ConfigError([Fault("scheme.weights", f"{message}; give one each of {names}")])
        return self._weights
