"""What text looks like to networks."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor

from kdrun.core.inputs.types import CPU, Inputs

_PARTS = ("student", "teacher")  # networks in the config node of a network made of others


@dataclass(frozen=True)
class Encoding:
    """How one tokenizer encodes texts.

    Attributes:
        name: its name in batches; empty for the dataset's own tokenizer.
        size: the number of ids, those of special tokens included.
        padding: the id that fills up shorter texts.
        mask: the id of a hidden token; None if the tokenizer has none.
        longest: the most tokens of a text; longer texts are cut.
        digest: a hash of the tokenizer's content: two of the same digest have one vocabulary.
        special: ids of further special tokens, which mark a text's beginning or end.
    """

    name: str
    size: int
    padding: int
    mask: int | None
    longest: int
    digest: str
    special: tuple[int, ...] = ()

    @property
    def keys(self) -> tuple[str, str]:
        """The names of its tokens and of their mask in the inputs."""
        prefix = f"{self.name}:" if self.name else ""
        return f"{prefix}tokens", f"{prefix}mask"


class Tokens(NamedTuple):
    """Texts in one encoding.

    Attributes:
        ids: (B, T) int64; each text begins at the left.
        mask: (B, T) bool, true for tokens, false for padding.
    """

    ids: Tensor
    mask: Tensor


@dataclass(frozen=True)
class TextInputs:
    """A mapping with the tokens of each encoding; see `Encoding.keys` and `Tokens`.

    Attributes:
        encodings: the encodings that the networks of a run need; the dataset's own one first.
        networks: key of a network's tokenizer, by `tokenizer_key` -> name of its encoding; for
            other keys it is the dataset's own.
        length: tokens of the texts in `example`.
    """

    modality: ClassVar[str] = "text"
    sample: ClassVar[str] = "text"

    encodings: tuple[Encoding, ...]
    networks: Mapping[str, str] = field(default_factory=dict)
    length: int = 16

    def encoding_of(self, node: Mapping[str, Any]) -> Encoding:
        """Return the encoding that a network reads.

        Args:
            node: the config node of the network.
        """
        name = self.networks.get(tokenizer_key(node), "")
        return next(encoding for encoding in self.encodings if encoding.name == name)

    def names_of(self, node: Mapping[str, Any]) -> set[str]:
        """Return the names of the encodings that a network reads, with the networks in it.

        Args:
            node: the config node of the network.
        """
        parts = [*node.get("members", []), *(node[key] for key in _PARTS if key in node)]
        return set().union(*map(self.names_of, parts)) if parts else {self.encoding_of(node).name}

    def only(self, encoding: str) -> Self:
        """Return the description of one encoding alone, under the plain names `tokens`, `mask`."""
        chosen = next(one for one in self.encodings if one.name == encoding)
        return replace(self, encodings=(replace(chosen, name=""),), networks={})

    def example(self, count: int, device: torch.device = CPU) -> Inputs:
        """Return texts without padding, of tokens that are all different as far as there are."""
        inputs: dict[str, Tensor] = {}
        for encoding in self.encodings:
            length = min(self.length, encoding.longest)
            ids = torch.arange(1, count * length + 1, device=device) % max(1, encoding.size - 1)
            ids = ids + (ids >= encoding.padding)  # every id but that of padding
            tokens, mask = encoding.keys
            inputs[tokens] = ids.clamp(max=encoding.size - 1).view(count, length)
            inputs[mask] = torch.ones(count, length, dtype=torch.bool, device=device)
        return inputs

    def random(self, count: int) -> Inputs:
        """Return texts of random tokens, without padding."""
        generator = torch.Generator().manual_seed(0)
        inputs = dict(self.example(count))
        for encoding in self.encodings:
            tokens, _ = encoding.keys
            order = torch.randperm(inputs[tokens].numel(), generator=generator)
            inputs[tokens] = inputs[tokens].flatten()[order].view_as(inputs[tokens])
        return inputs

    def arguments(self, node: Mapping[str, Any]) -> dict[str, Any]:
        return {"encoding": self.encoding_of(node)}

    def record(self) -> dict[str, Any]:
        return {
            "modality": self.modality,
            "encodings": [asdict(encoding) for encoding in self.encodings],
            "networks": dict(self.networks),
            "length": self.length,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        encodings = tuple(
            Encoding(**{**encoding, "special": tuple(encoding.get("special", ()))})
            for encoding in record["encodings"]
        )
        return cls(encodings, dict(record["networks"]), record["length"])

    def __str__(self) -> str:
        longest = max(encoding.longest for encoding in self.encodings)
        return f"texts of up to {longest} tokens"


def own_tokenizer(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the config node of a network's own tokenizer; None: it has that of the dataset.

    A network may name it under the key `tokenizer`. Without it a network of a Hugging Face folder
    has the tokenizer of the folder.

    Args:
        node: the config node of the network.
    """
    if node.get("tokenizer"):
        return dict(node["tokenizer"])
    if node["name"] == "hf" and node.get("path"):
        return {"name": "folder", "path": node["path"]}
    return None


def tokenizer_key(node: Mapping[str, Any]) -> str:
    """Return a text that stands for a network's own tokenizer; empty if it has none."""
    tokenizer = own_tokenizer(node)
    return "" if tokenizer is None else json.dumps(tokenizer, sort_keys=True)


def tokens_of(inputs: Mapping[str, Tensor], encoding: Encoding) -> Tokens:
    """Return the tokens that a network reads from the inputs of a batch."""
    ids, mask = encoding.keys
    return Tokens(inputs[ids], inputs[mask])
