"""Progressive distillation, stage by stage."""

from typing import Any

from pydantic import PositiveInt

from kdrun.core.config import Config
from kdrun.loss.tap_pairs import TapPairs
from kdrun.scheme.base import Scheme


class Progressive(Scheme):
    """Progressive: hints for stage after stage, then all layers.

    Formula:
        phase i = 1, 2, ...: mean (r_i(F_s) - F_t)^2 of the i-th pair of stages
        r_i: a 1x1 convolution with a batch norm
        in phase i only r_i and the student's layers between stage i - 1 and stage i learn
        main phase: the loss of the config, for all layers

    Paper:
        hints of Romero, Ballas, Kahou, Chassang, Gatta, Bengio, FitNets, ICLR 2015,
        arXiv:1412.6550, stage by stage

    Needs:
        - stages of both networks, or pairs of module paths
        - a first phase for each stage

    Notes:
        - The first phases are added to the recipe's epochs; the control does not have them.
        - Each phase computes all of the student, though it trains one stage.
        - The first phases keep the learning rate; the main phase has the recipe's schedule.
        - The order of layers is that of the network's modules; in all networks of kdrun it is the
          order in which they are computed.

    Args:
        epochs: epochs of each stage's phase, added to those of the recipe.
        pairs: `auto` for all stages, or module paths of student and teacher.
    """

    def __init__(self, epochs: PositiveInt, pairs: TapPairs) -> None:
        self.epochs, self.pairs = epochs, pairs

    def loss(self, config: Config) -> dict[str, Any]:
        return {
            "name": "progressive",
            "loss": config.loss,
            "epochs": self.epochs,
            "pairs": self.pairs,
        }
