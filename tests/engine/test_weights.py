"""Weights go to files and come back as they were."""

import os

import pytest
import torch
from torch import nn

from kdrun.core.errors import DamagedFile
from kdrun.engine.weights import copy_weights, read_best, read_weights, write_best, write_weights


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 4))
    return network.to(memory_format=torch.channels_last)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        value.dtype == other[name].dtype and torch.equal(value, other[name])
        for name, value in one.items()
    )


def test_weights_come_back_bit_for_bit(network, tmp_path):
    network[1](torch.randn(4, 8, 5, 5))  # so that statistics and their counter are not as built
    weights = copy_weights(network)
    write_weights(tmp_path / "w.safetensors", weights)
    assert same(read_weights(tmp_path / "w.safetensors"), weights)
    assert same(weights, network.state_dict())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_weights_keep_their_type(network, tmp_path, dtype):
    weights = copy_weights(network.to(dtype))
    write_weights(tmp_path / "w.safetensors", weights)
    assert same(read_weights(tmp_path / "w.safetensors"), weights)


def test_values_that_are_no_numbers_come_back(tmp_path):
    weights = {"x": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])}
    write_weights(tmp_path / "w.safetensors", weights)
    found = read_weights(tmp_path / "w.safetensors")["x"]
    assert torch.equal(found.view(torch.int32), weights["x"].view(torch.int32))


def test_copied_weights_are_contiguous_and_stay_when_the_network_learns_on(network):
    weights = copy_weights(network)
    before = weights["0.weight"].clone()
    with torch.no_grad():
        network[0].weight.add_(1)
    assert torch.equal(weights["0.weight"], before)
    assert all(value.is_contiguous() for value in weights.values())
    assert not any(value.requires_grad for value in weights.values())


def test_weights_that_share_memory_can_be_written(tmp_path):
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    network[1].weight = network[0].weight
    write_weights(tmp_path / "w.safetensors", copy_weights(network))
    found = read_weights(tmp_path / "w.safetensors")
    assert torch.equal(found["0.weight"], found["1.weight"])


def test_equal_weights_give_equal_files(network, tmp_path):
    for name in ("a", "b"):
        write_weights(tmp_path / name, copy_weights(network))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("length", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_damaged(network, tmp_path, length):
    path = tmp_path / "w.safetensors"
    write_weights(path, copy_weights(network))
    os.truncate(path, length if length >= 0 else path.stat().st_size - 1)
    with pytest.raises(DamagedFile, match=r"w\.safetensors' can't be read as weights"):
        read_weights(path)


def test_another_kind_of_file_is_damaged(tmp_path):
    (tmp_path / "w").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(DamagedFile):
        read_weights(tmp_path / "w")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DamagedFile, match="nothing"):
        read_weights(tmp_path / "nothing")


def test_the_best_weights_stand_beside_the_checkpoint(network, tmp_path):
    write_best(tmp_path, network)
    assert (tmp_path / "best.safetensors").exists()
    assert same(read_best(tmp_path), network.state_dict())
    with torch.no_grad():
        network[3].bias.add_(1)
    write_best(tmp_path, network)
    assert same(read_best(tmp_path), network.state_dict())
