"""Texts for the tests of losses: two small transformers, and B texts of several lengths."""

from typing import Any

import torch
from given import INFO, B, C
from torch import Tensor

from kdrun.core.inputs.text import Encoding, TextInputs
from kdrun.core.types import Batch, DataInfo, Output

PADDING, MASK, CLS, SEP = range(4)
ENCODING = Encoding(
    name="", size=40, padding=PADDING, mask=MASK, longest=12, digest="words", special=(CLS, SEP)
)
T = 9
TEXTS = DataInfo(INFO.classes, TextInputs((ENCODING,), length=T), INFO.train_size)
GARBAGE = 1e3


def transformer(**changes: Any) -> dict[str, Any]:
    """The config node of a small transformer."""
    node = {"name": "text_transformer", "depth": 2, "width": 12, "heads": 2, "hidden": 16}
    others = {"norm": "post", "pool": "mean", "dropout": 0.0, "tokenizer": None, "vectors": None}
    return {**node, **others, **changes}


STUDENT, TEACHER = transformer(), transformer(depth=4, width=18)


def text_inputs(encoding: Encoding = ENCODING) -> dict[str, Tensor]:
    """Texts of 2 to T tokens, padded to T."""
    random = torch.Generator().manual_seed(3)
    lengths = torch.tensor([T, 2, 3, 4, 5, 6, 7, 8])[:B]
    mask = torch.arange(T) < lengths[:, None]
    ids = torch.randint(SEP + 1, encoding.size, (B, T), generator=random)
    ids[:, 0] = CLS
    ids[torch.arange(B), lengths - 1] = SEP
    tokens, name = encoding.keys
    return {tokens: ids.where(mask, PADDING), name: mask}


def text_batch() -> Batch:
    """Texts with labels."""
    random = torch.Generator().manual_seed(5)
    rows = torch.arange(B)
    return Batch(text_inputs(), torch.randint(C, (B,), generator=random), rows, rows * 0)


def lengthened(values: Tensor, columns: int, fill: float | None = None) -> Tensor:
    """Values (B, T, ...) with further columns: `fill`, or garbage."""
    shape = (len(values), columns, *values.shape[2:])
    if fill is not None:
        return torch.cat([values, values.new_full(shape, fill)], dim=1)
    random = torch.Generator().manual_seed(9)
    garbage = GARBAGE * torch.randn(shape, generator=random).to(values)
    return torch.cat([values, garbage], dim=1)


def padded_output(output: Output, columns: int) -> Output:
    """The output with more padding; taps have garbage there and in the padding of before."""
    if output.mask is None:
        return output
    random = torch.Generator().manual_seed(8)
    taps = {}
    for name, tap in output.taps.items():
        if tap.dim() == 3:
            garbage = GARBAGE * torch.randn(tap.shape, generator=random).to(tap)
            tap = lengthened(tap.where(output.mask[:, :, None], garbage), columns)
        taps[name] = tap
    return Output(output.logits, taps, lengthened(output.mask, columns, fill=False))


def padded_batch(batch: Batch, columns: int) -> Batch:
    """The batch with more padding."""
    fills = {"tokens": PADDING, "mask": False, "guessed": -100}
    inputs = {name: lengthened(batch.inputs[name], columns, fills[name]) for name in batch.inputs}
    return Batch(inputs, batch.targets, batch.index, batch.view)
