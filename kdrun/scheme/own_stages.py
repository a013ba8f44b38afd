"""Self-distillation between the stages of a network."""

from pydantic import NonNegativeFloat

from kdrun.core.config import Config, Network
from kdrun.scheme.base import Scheme
from kdrun.scheme.no_teacher import stages_without_teacher
from kdrun.stage.base import Stage


class OwnStages(Scheme):
    """Own stages: shallow stages learn from the deepest one.

    No teacher is trained. A small head after each shallow stage predicts the classes during
    training; the trained student has no heads.

    Formula:
        CE(y, z) + sum over shallow stages i of L(z_i, z) + features * mean_b |F_i - F|^2
        z: the network's logits, z_i: the logits of the head after stage i
        L: the loss of the config, with z as the teacher's logits
        F: features of the deepest stage, F_i: features of the head; both averaged over pixels
        neither z nor F gets a gradient from L and from the last term

    Paper:
        Zhang, Song, Gao, Chen, Bao, Ma, Be Your Own Teacher, ICCV 2019, arXiv:1905.08094, section 3

    Needs:
        - two stages or more in the student
        - a loss on logits

    Notes:
        - In the heads the labels have the weight that the loss of the config gives them; in the
          network itself it is 1, as in the paper.
        - Features are averaged over pixels before they are compared, as in the public code; the
          paper says feature maps.
        - The heads are bottlenecks on maps that are pooled to the size of the deepest maps; the
          paper's heads shrink them by strides.
        - A loss that copies a teacher's weights is refused, since teacher and student are the same
          network.

    Args:
        features: weight of the distance between the features of a head and the deepest features.
    """

    def __init__(self, features: NonNegativeFloat) -> None:
        self.features = features

    def networks(self, config: Config) -> dict[str, Network]:
        return {"student": config.student}

    def stages(self, config: Config) -> list[Stage]:
        loss = {"name": "own_stages", "loss": config.loss, "features": self.features}
        return stages_without_teacher(config, loss)
