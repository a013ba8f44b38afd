"""The inputs of an exported network: an `InputSpec` for each modality."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from torch import Tensor, nn
from torch.export import Dim

from kdrun.core.inputs import InputDescription
from kdrun.core.inputs.text import Encoding, TextInputs
from kdrun.core.inputs.types import Inputs
from kdrun.export.image_spec import image_spec
from kdrun.export.text_spec import TextSpec

Arrays = Literal["numpy", "torch"]  # whose arrays the code in how_to_run.md makes


class InputSpec(Protocol):
    """What the file of a network takes, as positional tensors.

    Attributes:
        names: the names of the file's inputs.
        normalize: whether the file takes pixels in 0..1 and normalizes them itself.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def normalize(self) -> bool: ...

    def example(self) -> tuple[Tensor, ...]:
        """Return tensors for tracing; no size that may change is 0 or 1."""

    def dynamic_sizes(self) -> tuple[dict[int, Dim], ...]:
        """Return axis -> range of its size, of those that may change, for each tensor."""

    def arguments(self, inputs: Inputs) -> tuple[Tensor, ...]:
        """Convert the inputs of a batch."""

    def positional(self, network: nn.Module) -> nn.Module:
        """Return a network that takes the file's tensors in place of the inputs of batches."""

    def head(self) -> str:
        """Return a sentence of how_to_run.md on what each file of a run takes."""

    def description(self) -> str:
        """Return what this file takes, as the object of a sentence of how_to_run.md."""

    def code(self, arrays: Arrays) -> str:
        """Return Python code that makes a file's inputs, under their names."""


def input_spec(inputs: InputDescription, normalize: bool, network: nn.Module) -> InputSpec:
    """Return the inputs of the file of a network.

    Args:
        inputs: what the dataset gives to networks.
        normalize: whether the file normalizes images itself.
        network: the network, which reads one of the encodings of texts.

    Raises:
        UserError: texts are to be normalized.
    """
    if isinstance(inputs, TextInputs):
        encoding = network.encoding
        assert isinstance(encoding, Encoding)
        return TextSpec.of(encoding, normalize)
    return image_spec(inputs, normalize)


def recorded_spec(inputs: InputDescription, file: Mapping[str, Any]) -> InputSpec:
    """Return the inputs of a file of export.json.

    Args:
        inputs: the description in export.json.
        file: the file's record.
    """
    if isinstance(inputs, TextInputs):
        encodings = {encoding.name: encoding for encoding in inputs.encodings}
        tokenizer = file["tokenizer"]
        return TextSpec(encodings[tokenizer["encoding"]], tokenizer["file"], tokenizer["kind"])
    return image_spec(inputs, file["normalize"])
