"""The tokenizer in the artefact of a network of texts."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from kdrun.core.atomic import write_bytes
from kdrun.core.errors import UserError
from kdrun.core.inputs import read_inputs
from kdrun.core.inputs.text import Encoding, TextInputs
from kdrun.core.records.artefact import DataRecord
from kdrun.core.store import TOKENIZER
from kdrun.dataset.data import Data

if TYPE_CHECKING:
    from kdrun.dataset.text.tokenizers.tokenizer import Tokenizer


def tokenizer_of(network: nn.Module, data: Data) -> "Tokenizer | None":
    """Return the tokenizer that a network reads texts by; None for networks of images."""
    encoding = getattr(network, "encoding", None)
    return data.tokenizers[encoding.name] if isinstance(encoding, Encoding) else None


def write_tokenizer(folder: Path, data: Data, node: Mapping[str, Any]) -> None:
    """Write the tokenizer that a network reads texts by; nothing for networks of images.

    Args:
        folder: the folder of the network's artefact.
        data: the data of the run.
        node: the config node of the network.
    """
    inputs = data.info.inputs
    if isinstance(inputs, TextInputs):
        tokenizer = data.tokenizers[inputs.encoding_of(node).name]
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / TOKENIZER, tokenizer.to_bytes())


def check_tokenizer(
    folder: Path, recorded: DataRecord, data: Data, node: Mapping[str, Any], teacher: str
) -> None:
    """Check that a network that was trained before reads texts by the tokenizer that it learned.

    Args:
        folder: the folder of the network's artefact.
        recorded: the data that it was built for.
        data: the data of the run.
        node: the config node of the network.
        teacher: the key of the network in the config.

    Raises:
        UserError: the run has another tokenizer for it.
    """
    inputs, before = data.info.inputs, read_inputs(recorded)
    if not isinstance(inputs, TextInputs) or not isinstance(before, TextInputs):
        return
    if inputs.encoding_of(node).digest != before.encoding_of(node).digest:
        path = folder / TOKENIZER
        raise UserError(
            f"the network in {str(folder)!r} learned with another tokenizer than this run has.",
            f"  add '{teacher}.tokenizer={{name: saved, path: {path}}}'",
        )
