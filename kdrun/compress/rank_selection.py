"""Selects the rank of each layer for low-rank factorization, by energy, by rank or by MACs."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.low_rank import Ranks, factorizable, low_rank_structure
from kdrun.core.errors import UserError

_BISECTIONS = 12  # they find an energy to within 1 / 4096


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
        """Return the lowest rank that keeps a share of the energy, the sum of squared values.

        It keeps that share of the weight's squared Frobenius norm: Eckart and Young 1936.
        """
        energies = self.squares.cumsum(0) / self.squares.sum().clamp_min(1e-30)
        return int((energies < energy - 1e-12).sum()) + 1

    def rank_of_share(self, share: float) -> int:
        """Return a share of the full rank, at least 1."""
        return max(1, round(share * len(self.squares)))


def singular_values(network: nn.Module, layers: str = "*") -> dict[str, SingularValues]:
    """Return the singular values of each layer that can be factorized, by module path.

    Args:
        network: the network to search.
        layers: a glob of module paths.

    Raises:
        UserError: no such layer matches the glob.
    """
    return {path: _svd_values(layer) for path, layer in factorizable(network, layers).items()}


def ranks_of_energy(values: Mapping[str, SingularValues], energy: float) -> dict[str, int]:
    """Return the ranks that keep a share of each layer's energy; layers that grow are left out."""
    return _without_growing(
        {path: layer.rank_of_energy(energy) for path, layer in values.items()}, values
    )


def ranks_of_share(values: Mapping[str, SingularValues], share: float) -> dict[str, int]:
    """Return a share of each layer's full rank; layers that grow are left out."""
    return _without_growing(
        {path: layer.rank_of_share(share) for path, layer in values.items()}, values
    )


def ranks_of_macs(
    network: nn.Module,
    values: Mapping[str, SingularValues],
    share: float,
    macs: Callable[[nn.Module], int],
) -> dict[str, int]:
    """Return the ranks with which at most a share of the network's MACs remains.

    All layers keep the same share of their energy. Bisection finds the highest share that meets
    the limit. Embeddings stay as they are: they have no MACs, and their factors would have some.

    Args:
        network: the network, which is left unchanged.
        values: singular values of the layers that may be factorized.
        share: share of the MACs that may remain, above 0 to 1.
        macs: computes the MACs of a network.

    Raises:
        UserError: more MACs remain even if all layers have rank 1.
    """
    limit = share * macs(network)
    values = {
        path: layer
        for path, layer in values.items()
        if not isinstance(network.get_submodule(path), nn.Embedding)
    }
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


# Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
def _svd_values(layer: Any) -> SingularValues:
    matrix = layer.weight.detach().flatten(1).double()
    return SingularValues(torch.linalg.svdvals(matrix).square().cpu(), *matrix.shape)


def _without_growing(ranks: Ranks, values: Mapping[str, SingularValues]) -> dict[str, int]:
    """Return the ranks of layers that will have fewer weights."""
    return {path: rank for path, rank in ranks.items() if rank <= values[path].max_useful_rank}
