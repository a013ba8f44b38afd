"""A training state comes back as it was: values, types, shapes, memory layout."""

import math
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from kdrun.engine.state_format import pack, unpack

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
STATES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
    ),
    max_leaves=20,
)
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def round_trip(state: Any) -> Any:
    return unpack(BytesIO(b"".join(pack(state))))  # type: ignore[arg-type]


@given(STATES)
def test_plain_values_come_back(state):
    assert repr(round_trip(state)) == repr(state)


def test_non_finite_numbers_come_back():
    low, high, neither = round_trip([-math.inf, math.inf, math.nan])
    assert (low, high) == (-math.inf, math.inf)
    assert math.isnan(neither)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3), (2, 3, 4, 5)])
def test_tensors_come_back(dtype, shape):
    generator = torch.Generator().manual_seed(1)
    tensor = (torch.randn(shape, generator=generator) * 9).abs().to(dtype)
    same = round_trip({"tensor": tensor})["tensor"]
    assert (same.dtype, same.shape) == (dtype, tensor.shape)
    assert torch.equal(same, tensor)


def test_nan_bits_in_tensors_come_back():
    bits = torch.tensor([0x7FC00001, -0x00400000], dtype=torch.int32)
    assert torch.equal(round_trip(bits.view(torch.float32)).view(torch.int32), bits)


def test_channels_last_memory_comes_back():
    tensor = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    same = round_trip(tensor)
    assert same.stride() == tensor.stride()
    assert torch.equal(same, tensor)


def test_a_slice_is_written_without_what_it_was_cut_from():
    tensor = torch.arange(1_000_000.0)[10:20:2]
    parts = pack(tensor)
    assert sum(len(part) for part in parts) < 200
    assert torch.equal(unpack(BytesIO(b"".join(parts))), tensor)  # type: ignore[arg-type]


def test_tensors_are_written_from_where_they_lie():
    tensor = torch.zeros(4)
    body = pack(tensor)[-1]
    tensor.fill_(1)
    assert bytes(body) == tensor.numpy().tobytes()


def test_tensors_read_back_own_their_memory():
    first, second = round_trip([torch.zeros(4), torch.zeros(4)])
    first.fill_(1)
    assert second.sum() == 0
    assert first.untyped_storage().nbytes() == 16


def test_networks_and_optimizers_come_back():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    network.requires_grad_(True)
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
    same = round_trip(state)
    for name, tensor in state["network"].items():
        assert torch.equal(same["network"][name], tensor)
    assert same["optimizer"]["param_groups"] == state["optimizer"]["param_groups"]
    optimizer.load_state_dict(same["optimizer"])
    network.load_state_dict(same["network"])


def test_parameters_and_ordered_dicts_come_back_plain():
    same = round_trip(OrderedDict(weight=nn.Parameter(torch.ones(2))))
    assert type(same) is dict
    assert type(same["weight"]) is torch.Tensor


@pytest.mark.parametrize(
    "value", [np.float64(1.0), np.zeros(3), Path("x"), {1, 2}, b"bytes", torch.Size([1]), print]
)
def test_other_types_are_refused_by_their_place(value):
    with pytest.raises(TypeError, match=r"state\['a'\]\[1\] is a \w+, which"):
        pack({"a": [0, value]})
