"""The texts that an exported network takes: tokens and their mask."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.export import Dim

from kdrun.core.errors import UserError
from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.inputs.types import Inputs
from kdrun.export.tokenizer_code import tokenizer_code

_LENGTH = 16  # tokens of the texts that are traced; others take as many as they have

_ARRAYS = {
    "numpy": """\
tokens = np.array([text + [{padding}] * (length - len(text)) for text in texts], np.int64)
mask = np.array([[column < len(text) for column in range(length)] for text in texts])""",
    "torch": """\
tokens = torch.tensor([text + [{padding}] * (length - len(text)) for text in texts])
mask = torch.tensor([[column < len(text) for column in range(length)] for text in texts])""",
}


@dataclass(frozen=True)
class TextSpec:
    """The encoding of the texts that an exported network takes; see `InputSpec`.

    Attributes:
        encoding: the encoding that the network reads.
        tokenizer: name of the file of the tokenizer, beside the network's file.
        kind: the tokenizer's kind, as its file says.
    """

    names: ClassVar[tuple[str, ...]] = ("tokens", "mask")
    normalize: ClassVar[bool] = False

    encoding: Encoding
    tokenizer: str = ""
    kind: str = ""

    @classmethod
    def of(cls, encoding: Encoding, normalize: bool) -> Self:
        """Return what the file of a network takes.

        Raises:
            UserError: texts are to be normalized.
        """
        if normalize:
            raise UserError(
                "normalization is for images, and the dataset has texts.",
                "  leave out export_options.normalize or --normalize",
            )
        return cls(encoding)

    def example(self) -> tuple[Tensor, ...]:
        """Return tokens (2, T) and their mask; of one text or token, tracing would fix the size."""
        length = min(_LENGTH, self.encoding.longest)
        tokens = torch.arange(2 * length).view(2, length) % self.encoding.size
        return tokens, torch.ones(2, length, dtype=torch.bool)

    def dynamic_sizes(self) -> tuple[dict[int, Dim], ...]:
        sizes = {0: Dim("batch", min=1), 1: Dim("length", min=1, max=self.encoding.longest)}
        return sizes, sizes

    def arguments(self, inputs: Inputs) -> tuple[Tensor, ...]:
        assert not isinstance(inputs, Tensor)
        return tuple(tokens_of(inputs, self.encoding))

    def positional(self, network: nn.Module) -> nn.Module:
        return PositionalNetwork(network, self.encoding).train(network.training)

    def head(self) -> str:
        return (
            "takes `tokens`, int64 of shape (batch, length), and `mask`, bool of the same\nshape,"
            " true for tokens and false for padding at the right, with any batch size and any\n"
            f"length up to {self.encoding.longest},"
        )

    def description(self) -> str:
        return f"the ids of `{self.tokenizer}`, padding is {self.encoding.padding}"

    def code(self, arrays: str) -> str:
        encode = tokenizer_code(self.kind, self.tokenizer, self.encoding.longest)
        return encode + _ARRAYS[arrays].format(padding=self.encoding.padding)


class PositionalNetwork(nn.Module):
    """A network of texts that takes tokens and mask as two tensors.

    Args:
        network: takes a mapping with the tokens of an encoding.
        encoding: the encoding.
    """

    def __init__(self, network: nn.Module, encoding: Encoding) -> None:
        super().__init__()
        self.network = network
        self.keys = encoding.keys

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.network(dict(zip(self.keys, (tokens, mask), strict=True)))
