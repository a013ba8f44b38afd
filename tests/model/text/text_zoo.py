"""What the tests of text networks share: a vocabulary, texts, and small networks of each name."""

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
# Variants beside the files' settings.
VARIANTS = {
    "text_bag of sums": {"name": "text_bag", "pool": "sum", "hidden": []},
    "text_cnn of even windows": {"name": "text_cnn", "kernels": [2, 1, 7]},
    "text_transformer after post norms": {"name": "text_transformer", "norm": "post"},
    "text_transformer of first tokens": {"name": "text_transformer", "pool": "first"},
}
NAMES = [*SMALL, *VARIANTS]


def build(name: str, **changed: object) -> nn.Module:
    """The small network of a name or a variant, always with the same weights."""
    variant = {"name": name, **VARIANTS.get(name, {})}
    node = {**read(variant["name"]), **SMALL[variant["name"]], **variant, **changed}
    torch.manual_seed(0)
    return model.build(node, DATA)


def texts(lengths: list[int], columns: int = 0, seed: int = 0) -> dict[str, Tensor]:
    """Random texts of these lengths, padded to the longest, or to more columns."""
    generator = torch.Generator().manual_seed(seed)
    columns = columns or max(lengths)
    mask = torch.arange(columns) < torch.tensor(lengths)[:, None]
    ids = torch.randint(1, ENCODING.size, (len(lengths), ENCODING.longest), generator=generator)
    return {"tokens": ids[:, :columns].masked_fill(~mask, ENCODING.padding), "mask": mask}
