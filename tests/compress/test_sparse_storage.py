"""Sparse storage: tensors are restored exactly, from fewer bytes on disk."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from kdrun.compress.sparse_storage import pack, unpack
from kdrun.core.errors import DamagedFile
from kdrun.engine.weights import read_weights, write_weights


def tensor(sparsity: float, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    random = torch.Generator().manual_seed(0)
    value = torch.randn(*shape, generator=random)
    held = torch.rand(*shape, generator=random) >= sparsity
    return (value * held).to(dtype)


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.5, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("shape", [(64, 32, 3, 3), (7,), (1, 1), (0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64])
def test_unpack_restores_what_was_packed(sparsity, shape, dtype, tmp_path: Path):
    given = {"layer.weight": tensor(sparsity, *shape, dtype=dtype), "count": torch.tensor(3)}
    write_weights(tmp_path / "weights", pack(given))
    found = unpack(read_weights(tmp_path / "weights"))
    assert found.keys() == given.keys()
    for name, value in given.items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert torch.equal(found[name], value)


@pytest.mark.parametrize(("sparsity", "least"), [(0.5, 1.85), (0.9, 7.0), (0.99, 60.0)])
def test_sparse_files_are_smaller(sparsity, least, tmp_path: Path):
    given = {"weight": tensor(sparsity, 256, 256, 3, 3)}
    write_weights(tmp_path / "dense", given)
    write_weights(tmp_path / "sparse", pack(given))
    dense, sparse = ((tmp_path / name).stat().st_size for name in ("dense", "sparse"))
    assert dense / sparse > least


def test_a_large_gap_between_two_values_is_stored():
    value = torch.zeros(100_000)
    value[[0, 300, 99_999]] = torch.tensor([1.0, -2.0, 3.0])
    packed = pack({"weight": value})
    assert packed["weight:gaps"].dtype == torch.int32
    assert torch.equal(unpack(packed)["weight"], value)


def test_a_tensor_without_zeros_stays_as_it_is():
    given = {"weight": tensor(0.0, 5, 5)}
    assert pack(given)["weight"] is given["weight"]


def test_pieces_that_do_not_fit_together_are_reported_as_damage():
    packed = pack({"weight": tensor(0.9, 50, 50)})
    for change in ({"weight:values": torch.ones(3)}, {"weight:shape": torch.tensor([2, 2])}):
        with pytest.raises(DamagedFile, match="sparse tensor 'weight' is damaged"):
            unpack({**packed, **change})
    del packed["weight:shape"]
    with pytest.raises(DamagedFile, match="sparse tensor 'weight' is damaged"):
        unpack(packed)
