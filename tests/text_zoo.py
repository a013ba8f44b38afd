"""What the tests of text networks share: a vocabulary, texts, and small networks of each name."""

from typing import Any

import torch
from torch import Tensor, nn
from zoo import read

from kdrun import model
from kdrun.core.inputs.text import Encoding, TextInputs
from kdrun.core.types import DataInfo

ENCODING = Encoding(name="", size=50, padding=0, mask=2, longest=24, digest="test")
DATA = DataInfo(("bad", "good", "neutral"), TextInputs((ENCODING,)), train_size=1)

# Settings that make the networks of conf/model small.
SMALL = {
    "text_bag": {"width": 16, "hidden": [12]},
    "text_cnn": {"width": 16, "channels": 6},
    "text_lstm": {"width": 16, "hidden": 6, "dense": 10},
    "text_transformer": {"depth": 3, "width": 16, "heads": 4, "hidden": 32},
}
_SIZES = {"num_hidden_layers": 3, "num_attention_heads": 4, "max_position_embeddings": 40}
_WIDTHS = {"hidden_size": 16, "intermediate_size": 32, "vocab_size": 50, "pad_token_id": 0}
_BERT = {**_SIZES, **_WIDTHS}
_DISTILBERT = {"dim": 16, "n_layers": 3, "n_heads": 4, "hidden_dim": 32, "vocab_size": 50}
# Small configs of each family of Hugging Face's encoders.
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": _BERT,
    "camembert": _BERT,
    "deberta-v2": {**_BERT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "distilbert": _DISTILBERT,
    "electra": {**_BERT, "embedding_size": 8},
    "mpnet": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
}


def hf(family: str, **changed: object) -> dict[str, Any]:
    """The config node of a small encoder with new weights."""
    config = {"model_type": family, **CONFIGS[family]}
    return {"name": "hf", "config": config, "pretrained": False, **changed}


# Variants beside the files' settings.
VARIANTS = {
    "text_bag of sums": {"name": "text_bag", "pool": "sum", "hidden": []},
    "text_cnn of even windows": {"name": "text_cnn", "kernels": [2, 1, 7]},
    "text_transformer after post norms": {"name": "text_transformer", "norm": "post"},
    "text_transformer of first tokens": {"name": "text_transformer", "pool": "first"},
    **{f"hf {family}": hf(family) for family in CONFIGS},
    **{f"hf {family} of means": hf(family, pool="mean") for family in ("bert", "distilbert")},
}
NAMES = [*SMALL, *VARIANTS]
OWN = [name for name in NAMES if not name.startswith("hf")]


def build(name: str, **changed: object) -> nn.Module:
    """The small network of a name or a variant, always with the same weights."""
    variant = {"name": name, **VARIANTS.get(name, {})}
    node = {**read(variant["name"]), **SMALL.get(variant["name"], {}), **variant, **changed}
    torch.manual_seed(0)
    return model.build(node, DATA)


def texts(lengths: list[int], columns: int = 0, seed: int = 0) -> dict[str, Tensor]:
    """Random texts of these lengths, padded to the longest, or to more columns."""
    generator = torch.Generator().manual_seed(seed)
    columns = columns or max(lengths)
    mask = torch.arange(columns) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, ENCODING.size, (len(lengths), ENCODING.longest), generator=generator)
    return {"tokens": ids[:, :columns].masked_fill(~mask, ENCODING.padding), "mask": mask}
