"""Domain shift: the student learns from unlabeled images of another domain."""

from kdrun.core.config import Config
from kdrun.core.errors import ConfigError, Fault
from kdrun.dataset.data import Data
from kdrun.dataset.image.transfer import transfer_data
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import MAIN, Stage

TRANSFER = "transfer"  # the name of the dataset of the other folder


class DomainShift(Scheme):
    """Domain shift: unlabeled images of another folder.

    Formula:
        student: the loss of the config without its cross-entropy with the labels, on images of the
          folder; where another term needs labels they are the teacher's classes
        teacher and control: the dataset

    Paper:
        Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2 (a transfer set without labels)

    Needs:
        - a folder of images, scheme.transfer
        - a loss that reads a teacher

    Notes:
        - Labels of the folder are never learned from; they only test, where class folders give
          them. Every row is tested on both domains.
        - The folder's test split is test/, else val/; without either a share like dataset.test is
          taken from its class folders.
        - Epochs are chosen by the dataset's own validation split, as the other domain has no labels
          to choose by.
        - Images are brought to the dataset's size and normalized as the teacher's were.
        - Teacher and control never see the folder; the control is the student trained on the
          dataset.

    Args:
        transfer: the folder.
    """

    def __init__(self, transfer: str | None) -> None:
        self.transfer = transfer

    def datasets(self, config: Config, data: Data) -> dict[str, Data]:
        key = "scheme.transfer"
        if not self.transfer:
            what = "must be given: a folder of images, e.g. scheme.transfer=photos"
            raise ConfigError([Fault(key, what)])
        transfer = transfer_data(config.dataset, data, self.transfer, key)
        return {MAIN: data, TRANSFER: transfer}

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        student = student_stage(config, [teacher], config.loss, TRANSFER)
        return [teacher, *control_stages(config), student]
