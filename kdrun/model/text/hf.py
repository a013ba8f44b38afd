"""Encoders of Hugging Face's transformers; they need the extra `text`."""

from collections.abc import Mapping
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from kdrun.core.errors import UserError, first_line
from kdrun.core.hub_folder import hub_folder
from kdrun.core.inputs.text import Encoding, tokens_of
from kdrun.core.ranges import UnitBelowOne
from kdrun.model.text.blocks import mean_over_tokens
from kdrun.model.text.hf_config import (
    CONFIG,
    harmless,
    head_dropout,
    make_config,
    plain_values,
    read_json,
    set_dropout,
)
from kdrun.model.text.hf_roles import encoder_roles

# What transformers and torch raise for values that fit no network.
_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError)
_POOLING = Path("1_Pooling") / CONFIG  # of sentence-transformers


class HuggingFaceEncoder(nn.Module):
    """An encoder of transformers with a head for the dataset's classes.

    Args:
        network: transformers' network with the head of its family if `pool` is `first`, else its
            body alone, whose states are averaged over the tokens for a linear head.
        pool: `first` or `mean`.
        encoding: the encoding that the network reads.
        classes: number of classes.
        record: keys of the config node from which the network is rebuilt without its folder.

    Attributes:
        traceable: whether torch.fx can trace it: the code of transformers reads its inputs' values.
    """

    traceable = False

    def __init__(
        self,
        network: Any,
        pool: Literal["first", "mean"],
        encoding: Encoding,
        classes: int,
        record: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.encoding = encoding
        self.network = network
        self.record = dict(record)
        self.pool = pool
        if pool == "mean":
            self.dropout = nn.Dropout(head_dropout(network.config))
            self.head = nn.Linear(network.config.hidden_size, classes)
            nn.init.normal_(self.head.weight, std=network.config.initializer_range)
            nn.init.zeros_(self.head.bias)
        self.roles = encoder_roles(self, self.body)

    @property
    def body(self) -> nn.Module:
        """The network without the head of its family."""
        return self.network.base_model

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        ids, mask = tokens_of(inputs, self.encoding)
        output = self.network(input_ids=ids, attention_mask=mask)
        if self.pool == "first":
            return output.logits
        return self.head(self.dropout(mean_over_tokens(output.last_hidden_state, mask)))


def build_hf(
    path: str | None,
    config: dict[str, Any] | None,
    pretrained: bool,
    depth: PositiveInt | None,
    pool: Literal["auto", "first", "mean"],
    dropout: UnitBelowOne | None,
    tokenizer: dict[str, Any] | None,
    encoding: Encoding,
    num_classes: int,
) -> HuggingFaceEncoder:
    """Build a network of a Hugging Face folder; its weights are read when its training starts.

    Args:
        path: the folder, or an id that was downloaded.
        config: the content of its config.json; None: it is read from the folder.
        pretrained: whether it starts from the folder's weights; if not, its vocabulary is the
            encoding's.
        depth: number of layers; None: as in the config.
        pool: `first`: the head of the family, which reads the first token; `mean` over the tokens;
            `auto`: `mean` if a folder of sentence-transformers says so.
        dropout: every dropout probability; None: as in the config.
        tokenizer: config node of the network's own tokenizer; None: the folder's.

    Raises:
        UserError: transformers is not installed, the folder or its config can't be used, or the
            texts don't fit the network.
    """
    require_transformers()
    if config is None and path is None:
        raise UserError(
            "a Hugging Face network needs a folder or an id.",
            "  name one with path=FOLDER, or start from the teacher's layers:"
            " student.init=teacher student.layers=[0,2,4]",
        )
    if pretrained and path is None:
        raise UserError("pretrained weights are in a folder: add path=FOLDER, or pretrained=false.")
    folder = None if config or not path else hub_folder(path)
    source = repr(str(folder / CONFIG)) if folder else "the config of the network"
    values = harmless(config or read_json(Path(folder or "") / CONFIG), source)
    settings = make_config(values, num_classes, source)
    if depth is not None:
        settings.num_hidden_layers = depth
    if dropout is not None:
        set_dropout(settings, dropout)
    _fit_vocabulary(settings, encoding, pretrained, source)
    chosen = _pooling(folder) if pool == "auto" else pool
    network = _make_network(settings, chosen, source)
    _refuse_long_texts(network, encoding, source)
    record = {"config": plain_values(settings), "pool": chosen}
    return HuggingFaceEncoder(network, chosen, encoding, num_classes, record)


def require_transformers() -> None:
    """Import transformers, quietly.

    Raises:
        UserError: it is not installed.
    """
    if find_spec("transformers") is None:
        raise UserError("Hugging Face networks need an extra.", "  pip install 'kdrun[text]'")
    import transformers

    transformers.logging.set_verbosity_error()


def _pooling(folder: Path | None) -> Literal["first", "mean"]:
    """Return what a folder of sentence-transformers says, `first` for other folders."""
    file = folder / _POOLING if folder else None
    if file is None or not file.exists():
        return "first"
    return "mean" if read_json(file).get("pooling_mode_mean_tokens") is True else "first"


def _fit_vocabulary(config: Any, encoding: Encoding, pretrained: bool, source: str) -> None:
    """Give a network with new weights an embedding for each token of the encoding."""
    if not pretrained:
        config.vocab_size, config.pad_token_id = encoding.size, encoding.padding
    elif encoding.size > config.vocab_size:
        raise ValueError(
            f"{source} has {config.vocab_size:,} tokens, and the tokenizer has {encoding.size:,};"
            " leave out tokenizer=..., or take pretrained=false"
        )


def _make_network(config: Any, pool: Literal["first", "mean"], source: str) -> Any:
    from transformers import AutoModel, AutoModelForSequenceClassification

    make = AutoModelForSequenceClassification if pool == "first" else AutoModel
    kind: Any = make._model_mapping[type(config)]
    attention = "sdpa" if kind._supports_sdpa else "eager"
    settings: dict[str, Any] = {"attn_implementation": attention, "dtype": torch.float32}
    if pool == "mean" and "add_pooling_layer" in signature(kind).parameters:
        settings["add_pooling_layer"] = False
    try:
        return make.from_config(config, **settings)
    except torch.OutOfMemoryError:
        raise
    except _FAULTS as error:
        raise UserError(f"{source} describes no network: {first_line(error)}.") from error


def _refuse_long_texts(network: nn.Module, encoding: Encoding, source: str) -> None:
    """Refuse an encoding with longer texts than the network has positions."""
    for path, module in network.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1
            if encoding.longest > (positions := module.num_embeddings - skipped):
                raise ValueError(
                    f"{source} has {positions} positions, and texts have up to"
                    f" {encoding.longest} tokens; lower the dataset's limit"
                )
