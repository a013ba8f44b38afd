"""Select the rank of each layer for low-rank factorization, by energy, by rank or by MACs."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.low_rank import Ranks, factorizable, low_rank_structure
from kdrun.core.errors import UserError

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


# Any: nn.Module's own attributes are typed as tensors or modules alike.
def _svd_values(layer: Any) -> SingularValues:
    matrix = layer.weight.detach().flatten(1).double()
    return SingularValues(torch.linalg.svdvals(matrix).square().cpu(), *matrix.shape)


def _useful(ranks: Ranks, values: Mapping[str, SingularValues]) -> dict[str, int]:
    """The ranks without those of layers that would have more weights afterwards."""
    return {path: rank for path, rank in ranks.items() if rank <= values[path].max_useful_rank}
