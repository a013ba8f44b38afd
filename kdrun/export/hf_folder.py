"""The folder of a Hugging Face network, with its tokenizer, as transformers reads it."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.dataset.text.tokenizers.hugging_face import HuggingFace
from kdrun.dataset.text.tokenizers.tokenizer import Tokenizer
from kdrun.export.format import FolderFormat, LoadedFile
from kdrun.model.text.hf import HuggingFaceEncoder, require_transformers

_OTHERS = "  export=[onnx] and export=[pt2] take any network"

_EXAMPLE = """\
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{file}")
network = AutoModelForSequenceClassification.from_pretrained("{file}").eval()
texts = ["yours", "and another one"]
inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
with torch.inference_mode():
    logits = network(**inputs).logits
print([network.config.id2label[best] for best in logits.argmax(1).tolist()])
"""


def check(network: nn.Module, tokenizer: Tokenizer | None) -> None:
    """Check that transformers has a class that computes what a network computes.

    Args:
        network: the network.
        tokenizer: its tokenizer; None if it is not known yet.

    Raises:
        UserError: it is no Hugging Face network, has another head or other layers than its family,
            or its tokenizer is of kdrun's own.
    """
    if not isinstance(network, HuggingFaceEncoder):
        raise UserError(
            f"'hf' is a form of Hugging Face's networks, and {type(network).__name__} is none.",
            _OTHERS,
        )
    if network.pool == "mean":
        raise UserError(
            "'hf' has no head that reads the mean over the tokens, only the first token.",
            "  pool=first for the network (student.pool=first); export=[onnx] keeps the mean",
        )
    if tokenizer is not None and not isinstance(tokenizer, HuggingFace):
        raise UserError(
            "'hf' has no form for the tokenizer of this network, which is kdrun's own.",
            "  a tokenizer of the folder, or dataset/tokenizer=bpe or wordpiece, has one",
        )
    inner: Any = network.network
    expected = type(inner)._from_config(inner.config).state_dict()
    actual = inner.state_dict()
    for name in [*expected, *actual]:
        theirs, ours = (_shape(weights, name) for weights in (expected, actual))
        if theirs != ours:
            raise UserError(
                f"'hf' has no form for this network: {name!r} is {ours}, in its family {theirs}.",
                _OTHERS,
            )


def write(network: nn.Module, tokenizer: Tokenizer, classes: Sequence[str], folder: Path) -> None:
    """Write a network that passes `check`, with its tokenizer and the names of its classes."""
    assert isinstance(network, HuggingFaceEncoder)
    assert isinstance(tokenizer, HuggingFace)
    inner: Any = network.network
    inner.config.id2label = dict(enumerate(classes))
    inner.config.label2id = {name: number for number, name in enumerate(classes)}
    inner.save_pretrained(folder)
    content = tokenizer.tokenizer_json()
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": network.encoding.longest,
        # Both texts of a pair have the type 0, as in training: no ids of types are passed.
        "model_input_names": ["input_ids", "attention_mask"],
        **_special_tokens(tokenizer),
    }
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(f"{text}\n", encoding="utf-8")


def load(path: Path) -> LoadedFile:
    """Load a folder by transformers, on the CPU."""
    require_transformers()
    from transformers import AutoModelForSequenceClassification

    network = AutoModelForSequenceClassification.from_pretrained(path).eval()

    def forward(tokens: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = network(input_ids=tokens, attention_mask=mask).logits
        return logits

    versions = {name: version(name) for name in ("torch", "transformers")}
    return LoadedFile(forward, f"transformers {versions['transformers']}", {"versions": versions})


def _shape(weights: dict[str, Tensor], name: str) -> str:
    return str(tuple(weights[name].shape)) if name in weights else "not there"


def _special_tokens(tokenizer: HuggingFace) -> dict[str, str]:
    """Return the names under which transformers looks for special tokens."""
    special = tokenizer.special
    ids = {"pad_token": special.padding, "unk_token": special.unknown, "mask_token": special.mask}
    return {key: tokenizer.inner.id_to_token(i) for key, i in ids.items() if i is not None}


HF = FolderFormat(check, write, load, _EXAMPLE, packages=("transformers", "tokenizers"))
