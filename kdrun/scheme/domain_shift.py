"""Domain shift: the student learns other images than the teacher, from its soft labels alone."""

from kdrun.core.config import Config
from kdrun.core.errors import ConfigError, Fault
from kdrun.dataset.data import Data
from kdrun.dataset.image.transfer import transfer_data
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import MAIN, Stage

TRANSFER = "transfer"  # the other images


class DomainShift(Scheme):
    """Teacher and control learn the dataset, the distilled student a folder without its labels.

    Samples without labels leave a loss's label term out; every row is tested on both domains.

    Args:
        transfer: the folder.
    """

    def __init__(self, transfer: str | None) -> None:
        self.transfer = transfer

    def datasets(self, config: Config, data: Data) -> dict[str, Data]:
        where = "scheme.transfer"
        if not self.transfer:
            what = "must be given: a folder of images, e.g. scheme.transfer=photos"
            raise ConfigError([Fault(where, what)])
        other = transfer_data(config.dataset, data, self.transfer, where)
        return {MAIN: data, TRANSFER: other}

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        student = student_stage(config, [teacher], config.loss, TRANSFER)
        return [teacher, *control_stages(config), student]
