"""Self-distillation between a network's own stages: the deepest teaches the shallow ones."""

from pydantic import NonNegativeFloat

from kdrun.core.config import Config, Network
from kdrun.scheme.base import Scheme
from kdrun.scheme.no_teacher import lone_student
from kdrun.stage.base import Stage


class OwnStages(Scheme):
    """Zhang et al. 2019 (arXiv:1905.08094); no teacher is trained. See the loss of this name.

    Args:
        features: weight of the distance to the deepest features.
    """

    def __init__(self, features: NonNegativeFloat) -> None:
        self.features = features

    def networks(self, config: Config) -> dict[str, Network]:
        return {"student": config.student}

    def stages(self, config: Config) -> list[Stage]:
        loss = {"name": "own_stages", "loss": config.loss, "features": self.features}
        return lone_student(config, loss)
