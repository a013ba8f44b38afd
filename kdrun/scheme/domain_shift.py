"""Domain shift: the student learns from unlabeled images of another domain."""

from kdrun.core.config import Config
from kdrun.core.errors import ConfigError, Fault
from kdrun.dataset.data import Data
from kdrun.dataset.image.transfer import transfer_data
from kdrun.scheme.base import Scheme, control_stages, student_stage, teacher_stage
from kdrun.stage.base import MAIN, Stage

TRANSFER = "transfer"  # the name of the dataset that holds the images of the folder


class DomainShift(Scheme):
    """Domain shift: unlabeled images from another folder.

    Formula:
        student: the loss of the config without its cross-entropy with the labels, on images of the
          folder; a term that needs labels takes the teacher's predicted classes
        teacher and control: trained on the dataset

    Paper:
        Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2 (a transfer set without labels)

    Needs:
        - a folder of images, scheme.transfer
        - a loss that reads a teacher

    Notes:
        - The student never learns labels of the folder; if it has class folders, these labels are
          used for testing alone. Every row is tested on both domains.
        - The test split is the subfolder test/, or else val/; without either, it is the share
          dataset.test of the images in class folders.
        - Epochs are chosen by the dataset's validation split, as the folder has no labels for that.
        - Images of the folder are resized and normalized like those of the dataset.
        - Teacher and control never see the folder; the control is the student trained on the
          dataset.

    Args:
        transfer: the path of the folder.
    """

    def __init__(self, transfer: str | None) -> None:
        self.transfer = transfer

    def datasets(self, config: Config, data: Data) -> dict[str, Data]:
        key = "scheme.transfer"
        if not self.transfer:
            message = "must be given: a folder of images, e.g. scheme.transfer=photos"
            raise ConfigError([Fault(key, message)])
        transfer = transfer_data(config.dataset, data, self.transfer, key)
        return {MAIN: data, TRANSFER: transfer}

    def stages(self, config: Config) -> list[Stage]:
        teacher = teacher_stage(config)
        student = student_stage(config, [teacher], config.loss, TRANSFER)
        return [teacher, *control_stages(config), student]
