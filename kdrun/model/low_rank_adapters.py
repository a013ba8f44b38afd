"""Low-rank adapters: students that learn a small change of weights that stay as they are."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

from torch import Tensor, nn
from torch.nn import functional

from kdrun.core.errors import UserError
from kdrun.model.roles import find_roles, layer_list

_ADAPTER = ("lora_a", "lora_b")


class AdaptedLinear(nn.Linear):
    """A linear layer y = W x + b + alpha / rank * B A x, of which A and B learn.

    Hu et al. 2021, arXiv:2106.09685, section 4.1. Its weight and bias have the names that they had
    without the adapter, and so has the layer.

    Args:
        linear: the layer that is adapted.
        rank: rows of A.
        alpha: the scale of the change is alpha / rank.
        dropout: share of the inputs of A that is dropped in training.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float, dropout: float) -> None:
        super().__init__(linear.in_features, linear.out_features, linear.bias is not None, "meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.scale, self.dropout = alpha / rank, dropout
        self.lora_a = nn.Parameter(linear.weight.new_empty(rank, linear.in_features))
        self.lora_b = nn.Parameter(linear.weight.new_zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=5**0.5)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - nn.Linear's name
        change = functional.dropout(input, self.dropout, self.training)
        change = functional.linear(functional.linear(change, self.lora_a), self.lora_b)
        return super().forward(input) + self.scale * change


def add_adapters(
    network: nn.Module, rank: int, alpha: float, dropout: float, targets: Sequence[str] | str
) -> list[str]:
    """Adapt linear layers of a network; return the names of the parameters that don't learn.

    The adapters learn, and the head: the linear layers after the list of layers.

    Raises:
        UserError: there are no such layers.
    """
    for path in adapted_layers(network, targets):
        linear: nn.Linear = network.get_submodule(path)  # type: ignore[assignment]
        network.set_submodule(path, AdaptedLinear(linear, rank, alpha, dropout))
    heads = tuple(f"{path}." for path in _heads(network))
    return [
        name
        for name, _ in network.named_parameters()
        if not name.startswith(heads) and name.rpartition(".")[2] not in _ADAPTER
    ]


def adapted_layers(network: nn.Module, targets: Sequence[str] | str) -> list[str]:
    """Return the paths of the linear layers that get adapters.

    Args:
        network: the network.
        targets: globs of module paths; `auto`: the projections to queries and values.

    Raises:
        UserError: there are none.
    """
    if targets == "auto":
        roles = find_roles(network)
        paths = [*roles.get("queries", []), *roles.get("values", [])]
        problem = "has no projections to queries and values"
    else:
        linear = [path for path, module in network.named_modules() if type(module) is nn.Linear]
        paths = [path for path in linear if any(fnmatch(path, glob) for glob in targets)]
        problem = f"has no linear layers like {list(targets)}"
    if not paths:
        raise UserError(
            f"{type(network).__name__} {problem}; name some with student.lora.targets=[PATH]"
        )
    return paths


def merged(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a network with adapters as those of the network without them.

    Args:
        network: a network with adapters.
        weights: its state dict.
    """
    plain = {name: value for name, value in weights.items() if not name.endswith(_ADAPTER)}
    for path, module in network.named_modules():
        if isinstance(module, AdaptedLinear):
            a, b = (weights[f"{path}.{name}"].double() for name in _ADAPTER)
            weight = plain[f"{path}.weight"]
            plain[f"{path}.weight"] = (weight.double() + module.scale * (b @ a)).to(weight.dtype)
    return plain


def _heads(network: nn.Module) -> list[str]:
    """Return the paths of the linear layers after the list of layers; without a list, the last."""
    layers, roles = layer_list(network), find_roles(network)
    if layers is None:
        return roles["logits"]
    paths = [path for path, _ in network.named_modules()]
    before = paths[paths.index(roles["tokens"][0]) : paths.index(layers)]
    return [
        path
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear)
        and path not in before
        and not path.startswith(f"{layers}.")
    ]
