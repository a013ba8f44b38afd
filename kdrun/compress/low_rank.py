"""Low-rank factorization: replace a linear layer or convolution by two smaller ones in sequence."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kdrun.compress.layer_glob import match_layers
from kdrun.core.errors import UserError

Ranks = Mapping[str, int]  # by the module path of a layer

_BISECTIONS = 12  # which find an energy to within 1 / 4096


@dataclass(frozen=True)
class SingularValues:
    """The singular values of a layer's weight as a matrix (outputs, inputs x kernel).

    Attributes:
        squares: the squared singular values, in descending order.
        outputs: rows of the matrix.
        inputs: columns of the matrix.
    """

    squares: Tensor
    outputs: int
    inputs: int

    @property
    def max_useful_rank(self) -> int:
        """The highest rank at which the two layers have fewer weights than the original; or 0."""
        return (self.outputs * self.inputs - 1) // (self.outputs + self.inputs)

    def rank_of_energy(self, energy: float) -> int:
        """The lowest rank whose singular values have this share of the energy, the sum of squares.

        That share of the weight's squared Frobenius norm is kept: Eckart and Young 1936.
        """
        kept = self.squares.cumsum(0) / self.squares.sum().clamp_min(1e-30)
        return int((kept < energy - 1e-12).sum()) + 1

    def rank_of_share(self, share: float) -> int:
        """This share of the full rank, and at least 1."""
        return max(1, round(share * len(self.squares)))


class FactorPair(NamedTuple):
    """The two layers that replace one: inputs to rank, and rank to outputs."""

    first: Any
    second: Any


def factorizable(network: nn.Module, layers: str = "*") -> dict[str, nn.Module]:
    """The layers that can be factorized, by module path: linear ones, and ungrouped convolutions.

    Args:
        network: the network to search.
        layers: a glob of module paths.

    Raises:
        UserError: no such layer matches the glob.
    """
    paths = [path for path, layer in network.named_modules() if _is_factorizable(layer)]
    matches = match_layers(paths, layers, "linear layer or convolution of one group")
    return {path: network.get_submodule(path) for path in matches}


def singular_values(network: nn.Module, layers: str = "*") -> dict[str, SingularValues]:
    """The singular values of each layer that can be factorized, by module path.

    Args:
        network: the network to search.
        layers: a glob of module paths.

    Raises:
        UserError: no such layer matches the glob.
    """
    return {path: _svd_values(layer) for path, layer in factorizable(network, layers).items()}


def ranks_of_energy(values: Mapping[str, SingularValues], energy: float) -> dict[str, int]:
    """The ranks that keep a share of each layer's energy; without layers that would grow."""
    return _useful({path: layer.rank_of_energy(energy) for path, layer in values.items()}, values)


def ranks_of_share(values: Mapping[str, SingularValues], share: float) -> dict[str, int]:
    """A share of each layer's full rank; without layers that would grow."""
    return _useful({path: layer.rank_of_share(share) for path, layer in values.items()}, values)


def ranks_of_macs(
    network: nn.Module,
    values: Mapping[str, SingularValues],
    share: float,
    macs: Callable[[nn.Module], int],
) -> dict[str, int]:
    """The ranks with which at most a share of the network's MACs remains.

    All layers keep the same share of their energy: the highest one that meets the limit, which is
    found by bisection.

    Args:
        network: is left unchanged.
        values: singular values of the layers that may be factorized.
        share: share of the MACs that may remain, above 0 to 1.
        macs: computes the MACs of a network.

    Raises:
        UserError: more MACs remain even if all layers have rank 1.
    """
    limit = share * macs(network)
    low, high = 0.0, 1.0

    def macs_at(energy: float) -> int:
        return macs(low_rank_structure(deepcopy(network), ranks_of_energy(values, energy)))

    if macs_at(low) > limit:
        raise UserError(
            f"macs={share:g} can't be reached: at rank 1 of each layer"
            f" {macs_at(low) / macs(network):.3f} of the MACs remain.",
            "  take a larger share, or more layers",
        )
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if macs_at(middle) <= limit else (low, middle)
    return ranks_of_energy(values, low)


def factorize(network: nn.Module, ranks: Ranks) -> None:
    """Replace each of these layers by two whose product is its best approximation of that rank.

    With the singular value decomposition W = U S V' of the weight as a matrix, cut off at the rank,
    the first layer has the weight sqrt(S) V', and kernel, stride and padding of the original. The
    second is a 1x1 convolution, or linear, with the weight U sqrt(S) and the original's bias. No
    other product of this rank has a smaller squared error: Eckart and Young 1936.

    Args:
        network: is changed in place.
        ranks: rank of each layer to replace.
    """
    for path, rank in ranks.items():
        layer: Any = network.get_submodule(path)
        weight = layer.weight.detach()
        u, s, v = torch.linalg.svd(weight.flatten(1).double(), full_matrices=False)
        root = s[:rank].sqrt()
        first, second = _make_factors(layer, rank)
        with torch.no_grad():
            first.weight.copy_((root[:, None] * v[:rank]).reshape(first.weight.shape))
            second.weight.copy_((u[:, :rank] * root).reshape(second.weight.shape))
            if second.bias is not None:
                second.bias.copy_(layer.bias)
        _replace(network, path, nn.Sequential(first, second))


def low_rank_structure(network: nn.Module, ranks: Ranks) -> nn.Module:
    """Replace layers by two each, in place, with random weights: they are then loaded or unused."""
    for path, rank in ranks.items():
        _replace(network, path, nn.Sequential(*_make_factors(network.get_submodule(path), rank)))
    return network


# Any, here and below: nn.Module's own attributes are typed as tensors or modules alike.
def _make_factors(layer: Any, rank: int) -> FactorPair:
    options: Any = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    biased = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return FactorPair(
            nn.Linear(layer.in_features, rank, bias=False, **options),
            nn.Linear(rank, layer.out_features, bias=biased, **options),
        )
    first = nn.Conv2d(
        layer.in_channels,
        rank,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        bias=False,
        padding_mode=layer.padding_mode,
        **options,
    )
    return FactorPair(first, nn.Conv2d(rank, layer.out_channels, 1, bias=biased, **options))


def _svd_values(layer: Any) -> SingularValues:
    matrix = layer.weight.detach().flatten(1).double()
    return SingularValues(torch.linalg.svdvals(matrix).square().cpu(), *matrix.shape)


def _useful(ranks: Ranks, values: Mapping[str, SingularValues]) -> dict[str, int]:
    """The ranks without those of layers that would have more weights afterwards."""
    return {path: rank for path, rank in ranks.items() if rank <= values[path].max_useful_rank}


def _is_factorizable(layer: nn.Module) -> bool:
    # No subclasses: attention uses the weights of its own subclass of nn.Linear directly.
    return type(layer) is nn.Linear or (type(layer) is nn.Conv2d and layer.groups == 1)


def _replace(network: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, layer)
