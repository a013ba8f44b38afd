"""What the inputs of networks look like: a class for each modality, in the table `INPUTS`.

Nothing else in kdrun, but the folders of a modality, asks for an image size or a vocabulary.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, Self

import torch

from kdrun.core.inputs.types import CPU, Inputs
from kdrun.core.registry import resolve

INPUTS = {
    "image": "kdrun.core.inputs.image:ImageInputs",
    "text": "kdrun.core.inputs.text:TextInputs",
}


class InputDescription(Protocol):
    """Describes the inputs that a dataset gives to networks; a frozen dataclass.

    Attributes:
        modality: its name in `INPUTS`, and that of the folder of its readers in kdrun/dataset/.
        sample: one sample in sentences: `image`, `text`.
    """

    modality: ClassVar[str]
    sample: ClassVar[str]

    def example(self, count: int, device: torch.device = CPU) -> Inputs:
        """Return inputs of `count` samples with the structure of batches, for dry runs."""

    def random(self, count: int) -> Inputs:
        """Return seeded random inputs, always the same, with the structure of batches."""

    def arguments(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the builder of a network may take from the data: parameter -> value.

        Args:
            node: the config node of the network.
        """

    def record(self) -> dict[str, Any]:
        """Return the description for records of artefacts, in JSON's types."""

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the description in a record.

        Raises:
            KeyError, TypeError, ValueError: the record is not one of `record`.
        """

    def __str__(self) -> str:
        """Return the description in a sentence: `32x32 images with 3 channels`."""


def read_inputs(record: Mapping[str, Any]) -> InputDescription:
    """Return the description of inputs in a record; those of older versions are all of images.

    Raises:
        KeyError, TypeError, ValueError: the record is not one of an `InputDescription`.
    """
    kind: Any = resolve("modality", INPUTS, record.get("modality", "image"))
    inputs: InputDescription = kind.from_record(record)
    return inputs
