"""Linear and convolution layers as two smaller ones in a row, by their singular values."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.compress.layer_glob import fitting
from kdrun.core.errors import UserError

Ranks = Mapping[str, int]

_HALVINGS = 12  # of the range of energies: to a four-thousandth


@dataclass(frozen=True)
class Spectrum:
    """What there is to know of a layer before its rank is chosen.

    Attributes:
        squares: the squared singular values of its weights as a matrix (outputs, inputs x kernel),
            from large to small.
        outputs: rows of the matrix.
        inputs: columns of the matrix.
    """

    squares: Tensor
    outputs: int
    inputs: int

    @property
    def most(self) -> int:
        """The largest rank at which two layers have fewer weights than the one; 0: none does."""
        return (self.outputs * self.inputs - 1) // (self.outputs + self.inputs)

    def rank_of_energy(self, energy: float) -> int:
        """The least rank that keeps this share of the sum of squares."""
        kept = self.squares.cumsum(0) / self.squares.sum().clamp_min(1e-30)
        return int((kept < energy - 1e-12).sum()) + 1

    def rank_of_share(self, share: float) -> int:
        """This share of the full rank, at least 1."""
        return max(1, round(share * len(self.squares)))


def separable(network: nn.Module, layers: str = "*") -> dict[str, nn.Module]:
    """The layers that can be taken apart, by module path: linear, and convolutions of one group.

    Args:
        network: whose layers.
        layers: a glob of module paths.

    Raises:
        UserError: no such layer has a path like that.
    """
    known = [path for path, layer in network.named_modules() if _fits(layer)]
    found = fitting(known, layers, "linear layer or convolution of one group")
    return {path: network.get_submodule(path) for path in found}


def spectra(network: nn.Module, layers: str = "*") -> dict[str, Spectrum]:
    """The spectrum of each layer that can be taken apart, by module path.

    Args:
        network: whose layers.
        layers: a glob of module paths.

    Raises:
        UserError: no such layer has a path like that.
    """
    return {path: _spectrum(layer) for path, layer in separable(network, layers).items()}


def ranks_of_energy(known: Mapping[str, Spectrum], energy: float) -> dict[str, int]:
    """Ranks that keep a share of each layer's energy; layers that would grow are left out."""
    return _worthwhile({path: one.rank_of_energy(energy) for path, one in known.items()}, known)


def ranks_of_share(known: Mapping[str, Spectrum], share: float) -> dict[str, int]:
    """A share of each layer's full rank; layers that would grow are left out."""
    return _worthwhile({path: one.rank_of_share(share) for path, one in known.items()}, known)


def ranks_of_macs(
    network: nn.Module,
    known: Mapping[str, Spectrum],
    share: float,
    macs: Callable[[nn.Module], int],
) -> dict[str, int]:
    """Ranks of equal energy in all layers at which a share of the network's MACs remains.

    The most energy that does is found by bisection.

    Args:
        network: whose layers are known; it stays as it is.
        known: their spectra.
        share: of the MACs that may remain, above 0 to 1.
        macs: those of a network.

    Raises:
        UserError: at the lowest ranks more remain.
    """
    allowed = share * macs(network)
    low, high = 0.0, 1.0

    def cost(energy: float) -> int:
        smaller = reshape(deepcopy(network), ranks_of_energy(known, energy))
        return macs(smaller)

    if cost(low) > allowed:
        raise UserError(
            f"macs={share:g} can't be reached: at rank 1 of each layer"
            f" {cost(low) / macs(network):.3f} of the MACs remain.",
            "  take a larger share, or more layers",
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if cost(middle) <= allowed else (low, middle)
    return ranks_of_energy(known, low)


def factorize(network: nn.Module, ranks: Ranks) -> None:
    """Put two layers in the place of each, with the nearest weights in the mean square.

    W = U S V' of the weights as a matrix (Eckart and Young 1936): the first layer is
    sqrt(S) V', with the kernel, stride and padding of the layer; the second is U sqrt(S), of 1x1,
    with its bias.
    """
    for path, rank in ranks.items():
        layer: Any = network.get_submodule(path)
        weight = layer.weight.detach()
        left, values, right = torch.linalg.svd(weight.flatten(1).double(), full_matrices=False)
        root = values[:rank].sqrt()
        first, second = _in_two(layer, rank)
        with torch.no_grad():
            narrow = (root[:, None] * right[:rank]).reshape(first.weight.shape)
            first.weight.copy_(narrow)
            second.weight.copy_((left[:, :rank] * root).reshape(second.weight.shape))
            if second.bias is not None:
                second.bias.copy_(layer.bias)
        _put(network, path, nn.Sequential(first, second))


def reshape(network: nn.Module, ranks: Ranks) -> nn.Module:
    """The same layers with weights of no meaning: for those that are then read from a file."""
    for path, rank in ranks.items():
        _put(network, path, nn.Sequential(*_in_two(network.get_submodule(path), rank)))
    return network


# Any, here and below: nn.Module's own attributes are typed as tensors or modules alike.
def _in_two(layer: Any, rank: int) -> tuple[Any, Any]:
    like: Any = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    biased = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return (
            nn.Linear(layer.in_features, rank, bias=False, **like),
            nn.Linear(rank, layer.out_features, bias=biased, **like),
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
        **like,
    )
    return first, nn.Conv2d(rank, layer.out_channels, 1, bias=biased, **like)


def _spectrum(layer: Any) -> Spectrum:
    matrix = layer.weight.detach().flatten(1).double()
    return Spectrum(torch.linalg.svdvals(matrix).square().cpu(), *matrix.shape)


def _worthwhile(ranks: Ranks, known: Mapping[str, Spectrum]) -> dict[str, int]:
    return {path: rank for path, rank in ranks.items() if rank <= known[path].most}


def _fits(layer: nn.Module) -> bool:
    # Exactly these: attention reads the weights of its own kind of linear layer.
    return type(layer) is nn.Linear or (type(layer) is nn.Conv2d and layer.groups == 1)


def _put(network: nn.Module, path: str, layer: nn.Module) -> None:
    above, _, name = path.rpartition(".")
    setattr(network.get_submodule(above), name, layer)
