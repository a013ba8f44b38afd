"""Low-rank factorization: replaces a layer by two smaller ones in a row."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn

from kdrun.compress.layer_glob import match_layers

Ranks = Mapping[str, int]  # by the module path of a layer


class FactorPair(NamedTuple):
    """The two layers that replace a layer: from inputs to rank, and from rank to outputs."""

    first: Any
    second: Any


def factorizable(network: nn.Module, layers: str = "*") -> dict[str, nn.Module]:
    """Return the layers that can be factorized by module path.

    These are linear layers, embeddings, and convolutions of one group.

    Args:
        network: the network to search.
        layers: a glob of module paths.

    Raises:
        UserError: no such layer matches the glob.
    """
    paths = [path for path, layer in network.named_modules() if _is_factorizable(layer)]
    matches = match_layers(paths, layers, "linear layer, embedding or convolution of one group")
    return {path: network.get_submodule(path) for path in matches}


def factorize(network: nn.Module, ranks: Ranks) -> None:
    """Replace layers by two each, whose product is the best approximation of a given rank.

    With the singular value decomposition W = U S V' of the weight as a matrix, truncated at the
    rank, the first layer has the weight sqrt(S) V', and the original's kernel, stride, padding. The
    second is a 1x1 convolution, or linear, with the weight U sqrt(S) and the original's bias. No
    other product of this rank has a smaller squared error: Eckart and Young 1936.

    For an embedding the rows of U sqrt(S) are the smaller embedding, and sqrt(S) V' is the weight
    of the linear layer after it: Lan et al. 2020 (arXiv:1909.11942), section 3.1.

    Args:
        network: the network, which is changed in place.
        ranks: rank of each layer to replace.
    """
    for path, rank in ranks.items():
        layer: Any = network.get_submodule(path)
        weight = layer.weight.detach()
        u, s, v = torch.linalg.svd(weight.flatten(1).double(), full_matrices=False)
        root = s[:rank].sqrt()
        first, second = _make_factors(layer, rank)
        inputs, outputs = root[:, None] * v[:rank], u[:, :rank] * root
        if isinstance(layer, nn.Embedding):
            inputs, outputs = outputs, inputs.T
        with torch.no_grad():
            first.weight.copy_(inputs.reshape(first.weight.shape))
            second.weight.copy_(outputs.reshape(second.weight.shape))
            if second.bias is not None:
                second.bias.copy_(layer.bias)
        network.set_submodule(path, nn.Sequential(first, second))


def low_rank_structure(network: nn.Module, ranks: Ranks) -> nn.Module:
    """Replace layers by two each, in place, with random weights, which are to be loaded later."""
    for path, rank in ranks.items():
        factors = nn.Sequential(*_make_factors(network.get_submodule(path), rank))
        network.set_submodule(path, factors)
    return network


# Any, here and below, as mypy takes each attribute of an nn.Module for a tensor or a module.
def _make_factors(layer: Any, rank: int) -> FactorPair:
    options: Any = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    if isinstance(layer, nn.Embedding):
        return FactorPair(
            nn.Embedding(layer.num_embeddings, rank, **options),
            nn.Linear(rank, layer.embedding_dim, bias=False, **options),
        )
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


def _is_factorizable(layer: nn.Module) -> bool:
    # Subclasses are excluded: attention reads the weights of its subclass of nn.Linear directly.
    if type(layer) is nn.Conv2d:
        return layer.groups == 1
    return type(layer) in (nn.Linear, nn.Embedding)
