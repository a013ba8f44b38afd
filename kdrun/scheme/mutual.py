"""Deep mutual learning."""

from pydantic import PositiveFloat

from kdrun.core.config import Config, Network, Recipe
from kdrun.core.folder import STUDENT_FOLDER, STUDENT_ROW, STUDENT_STAGE
from kdrun.engine.optimizers import learning_rate
from kdrun.model.committee import Committee
from kdrun.scheme.base import Scheme, control_stages
from kdrun.scheme.extra_networks import Models, extra_networks
from kdrun.scheme.no_teacher import refuse_teacher
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.extract import Extract
from kdrun.stage.gather import committee_of
from kdrun.stage.train import Train

_COHORT = "cohort"  # the name of the stage that trains all members
_COMMITTEE = "scheme.peers"  # the role of the network that holds all members


class Mutual(Scheme):
    """Mutual learning: peers that are trained together.

    The student and its peers, the n members, are trained as one network, a committee; after
    training each member becomes a model of its own. The student starts from the same weights as
    the control.

    Formula:
        sum_i [CE(y, z_i) + 1/(n-1) sum_{j != i} L(z_i, sg z_j)], sg: detached
        L: the loss of the config without its cross-entropy with the labels
        in the paper L = KL(p_j || p_i) at T = 1

    Paper:
        Zhang et al. 2018, Deep Mutual Learning, arXiv:1706.00384, equations 3 to 6 and 8

    Needs:
        - one peer or more
        - a loss that learns from a teacher; the run itself has none

    Notes:
        - The terms of the loss keep their weights; loss=kd loss.alpha=1 gives the paper's
          objective.
        - All members are updated at once from the same outputs; the paper updates them in turn.
        - One optimizer trains all members, at the student's learning rate; clip_norm limits the
          gradient of all members together.
        - The best epoch and stop.when use the mean of all members' probabilities on validation.
        - The members are trained for as many epochs as the control, but each step trains all of
          them.
    """

    def __init__(self, peers: Models, temperature: PositiveFloat | None) -> None:
        self._peers = extra_networks("peers", peers)
        self._temperature = temperature

    def networks(self, config: Config) -> dict[str, Network]:
        return {**super().networks(config), **self._peers, _COMMITTEE: self._committee(config)}

    def stages(self, config: Config) -> list[Stage]:
        refuse_teacher(config)
        reads = (_COHORT,)
        student, *peers = self._members(config)
        distilled = StageInfo(STUDENT_STAGE, STUDENT_FOLDER, STUDENT_ROW, shared=False, reads=reads)
        return [
            *control_stages(config),
            self._cohort(config),
            Extract(distilled, *student, number=0),
            *(
                Extract(_peer_info(number), *peer, number=number)
                for number, peer in enumerate(peers, start=1)
            ),
        ]

    def _cohort(self, config: Config) -> Train:
        stop = config.stop.when
        reads = ("alone",) if stop is not None and stop.of == "alone" else ()
        members = self._members(config)
        return Train(
            StageInfo(_COHORT, _COHORT, "", shared=False, reads=reads),
            role=_COMMITTEE,
            network=self._committee(config),
            loss={
                "name": "around_mutual",
                "loss": config.loss,
                "members": len(members),
                "temperature": self._temperature,
            },
            recipe=_recipe(config),
            frozen=tuple(Committee.path_of(0, glob) for glob in config.student.freeze),
            stop=stop,
            seeded_as="student",
            members=members,
        )

    def _members(self, config: Config) -> tuple[tuple[str, Network], ...]:
        return (("student", config.student), *self._peers.items())

    def _committee(self, config: Config) -> Network:
        return committee_of([network for _, network in self._members(config)])


def _peer_info(number: int) -> StageInfo:
    name = f"peer{number}"
    return StageInfo(name, name, name, shared=False, reads=(_COHORT,))


def _recipe(config: Config) -> Recipe:
    """Return the recipe with the student's learning rate, as one optimizer trains all members."""
    lr = learning_rate(config.recipe, config.student.name)
    return config.recipe.model_copy(update={"lr": lr, "lr_by_model": None})
