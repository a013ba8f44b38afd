"""Low-rank factorization: the best weights of a rank, and networks that still run."""

import pytest
import torch
from torch import nn
from zoo import build, images

from kdrun.compress.low_rank import factorizable, factorize, low_rank_structure
from kdrun.compress.rank_selection import (
    ranks_of_energy,
    ranks_of_macs,
    ranks_of_share,
    singular_values,
)
from kdrun.core.errors import UserError
from kdrun.core.inputs.image import ImageInputs
from kdrun.core.types import DataInfo
from kdrun.step.low_rank import LowRank


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(6, 20, 3, stride=2, padding=1, padding_mode="reflect"),
        nn.ReLU(),
        nn.Conv2d(20, 20, 3, groups=20),
        nn.Conv2d(20, 30, 1, bias=False),
        nn.Flatten(),
        nn.Linear(30 * 2 * 2, 40),
    ).double()


def test_grouped_convolutions_are_not_factorized():
    assert list(singular_values(network())) == ["0", "3", "5"]
    assert list(singular_values(network(), "[03]")) == ["0", "3"]


def test_outputs_are_unchanged_at_full_rank():
    plain, parted = network(), network()
    known = singular_values(parted)
    factorize(parted, {path: len(one.squares) for path, one in known.items()})
    inputs = torch.randn(3, 6, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(parted(inputs), plain(inputs))


@pytest.mark.parametrize("rank", [1, 5, 12])
def test_factors_have_the_least_squared_error_of_their_rank(rank):
    plain, parted = network(), network()
    factorize(parted, {"0": rank, "5": rank})
    for path in ("0", "5"):
        first, second = parted.get_submodule(path)
        whole = plain.get_submodule(path).weight.flatten(1)
        found = second.weight.flatten(1) @ first.weight.flatten(1)
        lost = singular_values(plain)[path].squares[rank:].sum()
        assert (whole - found).square().sum().item() == pytest.approx(lost.item(), rel=1e-6)
        assert torch.linalg.matrix_rank(found) == rank
        assert torch.equal(second.bias, plain.get_submodule(path).bias)


def test_the_rank_of_an_energy_is_the_lowest_that_keeps_it():
    known = singular_values(network())
    for path, one in known.items():
        values = one.squares.tolist()
        for energy in (0.3, 0.8, 0.95, 1.0):
            rank = one.rank_of_energy(energy)
            assert sum(values[:rank]) >= energy * sum(values) * (1 - 1e-9), path
            assert sum(values[: rank - 1]) < energy * sum(values)


def test_layers_that_would_grow_are_left_out():
    known = singular_values(network())
    assert ranks_of_share(known, 1.0) == {}
    assert ranks_of_energy(known, 1.0) == {}
    found = ranks_of_share(known, 0.25)
    assert found == {"0": 5, "3": 5, "5": 10}
    plain, parted = network(), network()
    factorize(parted, found)
    for path in found:
        fewer, more = (
            sum(weight.numel() for weight in one.get_submodule(path).parameters())
            for one in (parted, plain)
        )
        assert fewer < more


def test_the_structure_takes_the_weights_of_a_factorized_network():
    parted, empty = network(), network()
    ranks = {"0": 4, "5": 9}
    factorize(parted, ranks)
    low_rank_structure(empty, ranks)
    empty.load_state_dict(parted.state_dict())
    inputs = torch.randn(3, 6, 8, 8, dtype=torch.float64)
    assert torch.equal(parted(inputs), empty(inputs))


@pytest.mark.parametrize("name", ["resnet8", "vgg8", "mobilenet_v2_x0_5", "shufflenet_v1"])
def test_factorized_networks_have_gradients(name):
    parted = build(name, images(32))
    ranks = ranks_of_energy(singular_values(parted), 0.5)
    assert ranks
    factorize(parted, ranks)
    parted(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(weight.grad is not None for weight in parted.parameters())


def test_a_glob_that_matches_no_layer_is_refused():
    with pytest.raises(UserError, match=r"has a path like 'layer9\*'") as error:
        singular_values(network(), "layer9*")
    assert "there are 0, 3, 5" in error.value.lines[1]
    with pytest.raises(UserError) as error:
        singular_values(nn.ReLU())
    assert "this network has none" in error.value.lines[1]


def test_check_finds_layers_whose_weights_are_used_directly():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(64, 64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) @ self.inner.weight

    step = LowRank(energy=0.9, rank=None, macs=None, layers="*")
    info = DataInfo(("a", "b"), ImageInputs(1, (8, 8)), 10)
    with pytest.raises(UserError, match=r"does not run with factorized layers: .*'weight'"):
        step.check(Tied(), info)
    assert step.check(nn.Sequential(nn.Flatten(), nn.Linear(64, 2)), info)


def test_the_projection_of_attention_is_not_factorized():
    assert list(factorizable(nn.TransformerEncoderLayer(16, 2))) == ["linear1", "linear2"]


def test_an_embedding_of_low_rank_is_two_layers_with_the_same_rows():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(20, 6, padding_idx=0), nn.Linear(6, 3))
    with torch.no_grad():
        network[0].weight.copy_(torch.randn(20, 2) @ torch.randn(2, 6))
    ids = torch.tensor([[0, 3, 19], [7, 7, 1]])
    expected = network(ids)
    factorize(network, {"0": 2})
    assert [type(layer) for layer in network[0]] == [nn.Embedding, nn.Linear]
    assert network[0][0].weight.shape == (20, 2)
    torch.testing.assert_close(network(ids), expected, rtol=1e-5, atol=1e-6)


def test_embeddings_stay_where_macs_are_the_goal():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(20, 12), nn.Linear(12, 12))

    def macs_of(changed: nn.Module) -> int:
        return sum(one.weight.numel() for one in changed.modules() if isinstance(one, nn.Linear))

    ranks = ranks_of_macs(network, singular_values(network), 0.5, macs_of)
    assert list(ranks) == ["1"]
