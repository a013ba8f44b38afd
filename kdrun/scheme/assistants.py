"""A chain of networks of falling size between teacher and student."""

from kdrun.core.config import Config, Network
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.scheme.extra_networks import Models, listed
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.train import Train


class Assistants(Scheme):
    """Mirzadeh et al. 2020 (arXiv:1902.03393): each learns from the one before it by one loss.

    teacher -> assistant1 -> assistant2 -> ... -> student. Of two chains that begin alike the
    common assistants are trained once: they are shared through the store.
    """

    def __init__(self, assistants: Models) -> None:
        self._assistants = listed("assistants", assistants)

    def networks(self, config: Config) -> dict[str, Network]:
        return {**super().networks(config), **self._assistants}

    def stages(self, config: Config) -> list[Stage]:
        chain: list[Stage] = [teacher_stage(config)]
        for number, (role, network) in enumerate(self._assistants.items(), start=1):
            name, before = f"assistant{number}", chain[-1]
            info = StageInfo(name, name, name, shared=True, reads=(before.info.name,))
            chain.append(
                Train(
                    info,
                    role=role,
                    network=network,
                    loss=config.loss,
                    recipe=config.recipe,
                    teachers=(before,),
                )
            )
        return [*chain, *control_stages(config), student_stage(config, chain[-1:], config.loss)]
