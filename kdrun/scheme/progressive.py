"""Layer-wise training: each stage of the student learns the teacher's, then all of it."""

from pydantic import PositiveInt

from kdrun.core.config import Config
from kdrun.loss.tap_pairs import TapPairs
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import Stage


class Progressive(Scheme):
    """A first phase for each stage, then the config's loss; see the loss of this name.

    Args:
        epochs: of each stage's phase, beside those of the recipe.
        pairs: which stages are matched.
    """

    def __init__(self, epochs: PositiveInt, pairs: TapPairs) -> None:
        self.epochs, self.pairs = epochs, pairs

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        loss = {
            "name": "progressive",
            "loss": config.loss,
            "epochs": self.epochs,
            "pairs": self.pairs,
        }
        return [teacher, *control_stages(config), student_stage(config, [teacher], loss)]
