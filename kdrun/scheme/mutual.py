"""Networks that are trained together and teach each other."""

from pydantic import PositiveFloat

from kdrun.core.config import Config, Network, Recipe
from kdrun.core.errors import ConfigError, Fault
from kdrun.core.folder import STUDENT_FOLDER, STUDENT_ROW, STUDENT_STAGE
from kdrun.engine.optimizers import learning_rate
from kdrun.model.committee import Committee
from kdrun.scheme.base import Scheme, control_stages
from kdrun.scheme.extra_networks import Models, listed
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.extract import Extract
from kdrun.stage.gather import committee_of
from kdrun.stage.train import Train

_COHORT = "cohort"
_TOGETHER = "scheme.peers"


class MutualLearning(Scheme):
    """Zhang et al. 2018 (arXiv:1706.00384): no teacher, but peers; see `loss.mutual`.

    The student and its peers are trained as one committee, from which each is taken afterwards.
    The student starts as the control does.
    """

    def __init__(self, peers: Models, temperature: PositiveFloat | None) -> None:
        self._peers = listed("peers", peers)
        self._temperature = temperature

    def networks(self, config: Config) -> dict[str, Network]:
        return {**super().networks(config), **self._peers, _TOGETHER: self._together(config)}

    def stages(self, config: Config) -> list[Stage]:
        _refuse_teacher(config)
        reads = (_COHORT,)
        student, *peers = self._members(config)
        distilled = StageInfo(STUDENT_STAGE, STUDENT_FOLDER, STUDENT_ROW, False, reads)
        return [
            *control_stages(config),
            self._cohort(config),
            Extract(distilled, *student, number=0),
            *(
                Extract(
                    StageInfo(f"peer{n}", f"peer{n}", f"peer{n}", False, reads), *peer, number=n
                )
                for n, peer in enumerate(peers, start=1)
            ),
        ]

    def _cohort(self, config: Config) -> Train:
        stop = config.stop.when
        reads = ("alone",) if stop is not None and stop.of == "alone" else ()
        members = self._members(config)
        return Train(
            StageInfo(_COHORT, _COHORT, "", shared=False, reads=reads),
            role=_TOGETHER,
            network=self._together(config),
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

    def _together(self, config: Config) -> Network:
        return committee_of([network for _, network in self._members(config)])


def _recipe(config: Config) -> Recipe:
    """The run's recipe at the student's learning rate: one optimizer has all members."""
    lr = learning_rate(config.recipe, config.student.name)
    return config.recipe.model_copy(update={"lr": lr, "lr_by_model": None})


def _refuse_teacher(config: Config) -> None:
    told = "'teacher' is asked for, and scheme=mutual has none"
    faults = []
    if config.student.init == "teacher":
        faults.append(Fault("student.init", f"{told}; use student.init=scratch"))
    if config.stop.when is not None and config.stop.when.of == "teacher":
        faults.append(Fault("stop.when.of", f"{told}; use of: alone, or reaches"))
    if faults:
        raise ConfigError(faults)
