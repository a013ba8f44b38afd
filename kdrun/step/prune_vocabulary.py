"""The step that cuts the embedding of tokens to those that the training texts have."""

from pydantic import PositiveInt
from torch import nn

from kdrun.compress.step_inputs import StepInputs
from kdrun.compress.structure_changes import VOCABULARY, Change, CompressionResult
from kdrun.compress.vocabulary import (
    prune_vocabulary,
    token_embedding_path,
    vocabulary_structure,
)
from kdrun.core.errors import UserError
from kdrun.core.inputs.text import Encoding, TextInputs
from kdrun.core.types import DataInfo
from kdrun.stage.base import Stage
from kdrun.step.context import Quantizes, StepContext
from kdrun.step.strength import Strength


class PruneVocabulary:
    """Cut the embedding of tokens to those that the training texts have.

    Args:
        minimum_count: how often the training texts, unlabeled ones among them, have a token that
            is kept.
    """

    quantizes: Quantizes | None = None
    strength: Strength | None = None

    def __init__(self, minimum_count: PositiveInt) -> None:
        self.minimum_count = minimum_count

    def check(self, network: nn.Module, info: DataInfo) -> nn.Module:
        """Build the structure of the pruned network, as if all tokens were kept.

        Raises:
            UserError: the data are no texts, or the network has no embedding of tokens.
        """
        if not isinstance(info.inputs, TextInputs):
            raise UserError(f"prune_vocabulary is for texts, and the dataset has {info.inputs}.")
        size = _encoding_of(network).size
        return vocabulary_structure(network, token_embedding_path(network, size), size, size)

    def stages(self, context: StepContext) -> list[Stage]:
        """Return one stage, which changes the network."""
        return [context.compress(self)]

    def apply(self, network: nn.Module, step_inputs: StepInputs) -> CompressionResult:
        """Keep the rows of frequent and of special tokens."""
        encoding = _encoding_of(network)
        layer = token_embedding_path(network, encoding.size)
        counts, unknown = step_inputs.token_use(encoding)
        kept = counts >= self.minimum_count
        special = (encoding.padding, unknown, *encoding.special)
        kept[list(special if encoding.mask is None else (*special, encoding.mask))] = True
        if kept.all():
            return CompressionResult(
                network, notes=["all tokens are kept: texts have each of them"]
            )
        prune_vocabulary(network, layer, kept, unknown)
        size, rows = encoding.size, int(kept.sum())
        change: Change = {"name": VOCABULARY, "layer": layer, "size": size, "rows": rows}
        note = f"{rows:,} of {size:,} tokens are kept; the others are read as the unknown token"
        return CompressionResult(network, [change], [note])


def _encoding_of(network: nn.Module) -> Encoding:
    encoding = getattr(network, "encoding", None)
    if not isinstance(encoding, Encoding):
        raise UserError(
            f"prune_vocabulary can't change {type(network).__name__}, which reads no tokens itself."
        )
    return encoding
