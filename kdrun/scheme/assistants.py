"""Teacher assistants."""

from kdrun.core.config import Config, Network
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.scheme.extra_networks import Models, extra_networks
from kdrun.stage.base import Stage, StageInfo
from kdrun.stage.train import Train


class Assistants(Scheme):
    """Assistants: a chain of networks from teacher to student.

    Formula:
        teacher -> assistant1 -> ... -> student
        each learns from the network before it, by the loss of the config

    Paper:
        Mirzadeh et al. 2020, Improved Knowledge Distillation via Teacher Assistant,
        arXiv:1902.03393

    Needs:
        - a teacher, and a list of networks whose sizes lie between teacher and student

    Notes:
        - Every network of the chain is trained by the recipe and loss of the run, with the same
          weights and temperature.
        - If two chains begin with the same teacher and assistants, these are trained once and
          shared through the store.
        - The assistants cost training time that the control does not get; compare with a control
          that trains longer.
        - Which sizes help depends on teacher and student; the default fits resnet20 to resnet8 and
          was not tuned.
    """

    def __init__(self, assistants: Models) -> None:
        self._assistants = extra_networks("assistants", assistants)

    def networks(self, config: Config) -> dict[str, Network]:
        return {**super().networks(config), **self._assistants}

    def stages(self, config: Config) -> list[Stage]:
        chain: list[Stage] = [teacher_stage(config)]
        for number, (role, network) in enumerate(self._assistants.items(), start=1):
            name, teacher = f"assistant{number}", chain[-1]
            info = StageInfo(name, name, name, shared=True, reads=(teacher.info.name,))
            chain.append(
                Train(
                    info,
                    role=role,
                    network=network,
                    loss=config.loss,
                    recipe=config.recipe,
                    teachers=(teacher,),
                )
            )
        return [*chain, *control_stages(config), student_stage(config, chain[-1:], config.loss)]
