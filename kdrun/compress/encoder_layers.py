"""The parts of a transformer encoder's layers, by which its heads, units and layers are pruned."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kdrun.core.attention_heads import attention_heads, set_attention_heads
from kdrun.core.errors import UserError
from kdrun.core.layer_list import list_of_layers
from kdrun.core.taps import module_path

# Paths within a layer, in kdrun's own network and in those of Hugging Face.
_MIXES = ("attention.output", "attention.output.dense", "attention.out_lin", "attention.attn.o")
_WIDENS = ("feed_forward.0", "intermediate.dense", "ffn.lin1")
_SHARED_POSITIONS = {"relative_attention_bias", "rel_embeddings"}  # of MPNet and of DeBERTa
_NARROWS = ("feed_forward.2", "output.dense", "ffn.lin2")


class EncoderLayer(NamedTuple):
    """Paths of the linear layers of an encoder layer.

    Attributes:
        query: the projection to queries.
        key: the projection to keys.
        value: the projection to values.
        mix: the layer that reads the outputs of all heads.
        widen: the first layer of the feed-forward part.
        narrow: its second layer.
    """

    query: str
    key: str
    value: str
    mix: str
    widen: str
    narrow: str


def encoder_layers(network: nn.Module) -> list[EncoderLayer]:
    """Return the layers of a transformer encoder, from shallow to deep.

    Raises:
        UserError: the network is no encoder whose layers are known, or an earlier step replaced one
            of these linear layers.
    """
    roles, path = _roles(network), layer_list_path(network)
    projections = [roles.get(role, []) for role in ("queries", "keys", "values")]
    if not path or not all(projections):
        raise UserError(
            f"{type(network).__name__} is no transformer encoder of texts.",
            "  prune_channels prunes convolutions, prune_weights takes any network",
        )
    layers = []
    for number, rows in enumerate(zip(*projections, strict=True)):
        kinds = (_MIXES, _WIDENS, _NARROWS)
        others = (_linear(network, f"{path}.{number}", names) for names in kinds)
        layers.append(EncoderLayer(*map(module_path, rows), *others))
    for paths in layers:
        for each in paths:
            if type(network.get_submodule(each)) is not nn.Linear:
                raise UserError(
                    f"{each!r} is no linear layer any more: an earlier step replaced it.",
                    "  prune heads, units and layers before that step",
                )
    return layers


def keep_heads(network: nn.Module, kept: Sequence[Tensor]) -> nn.Module:
    """Keep some attention heads of each layer, in place.

    Args:
        network: a transformer encoder.
        kept: numbers of the heads that stay, for each layer.

    Raises:
        UserError: the layers share relative positions, which have values for each head.
    """
    names = {path.rpartition(".")[2] for path, _ in network.named_modules()}
    if names & _SHARED_POSITIONS:
        raise UserError(
            "heads of this family can't be pruned: its layers share relative positions with values"
            " for each head.",
            "  prune_feed_forward and prune_layers leave heads as they are",
        )
    for layer, heads in zip(encoder_layers(network), kept, strict=True):
        width = head_width(network, layer)
        units = (heads[:, None] * width + torch.arange(width)).flatten()
        for path in (layer.query, layer.key, layer.value):
            _keep_outputs(network, path, units)
        _keep_inputs(network, layer.mix, units)
        set_attention_heads(network, layer.query, len(heads))
    return network


def keep_units(network: nn.Module, kept: Sequence[Tensor]) -> nn.Module:
    """Keep some units of each layer's feed-forward part, in place.

    Args:
        network: a transformer encoder.
        kept: numbers of the units that stay, for each layer; equally many in all layers.
    """
    for layer, units in zip(encoder_layers(network), kept, strict=True):
        _keep_outputs(network, layer.widen, units)
        _keep_inputs(network, layer.narrow, units)
    _configure(network, ("intermediate_size", "hidden_dim"), len(kept[0]))
    return network


def keep_layers(network: nn.Module, layers: Sequence[int]) -> nn.Module:
    """Keep some layers, in place.

    Args:
        network: a transformer encoder.
        layers: numbers of the layers that stay, in their order.
    """
    path = layer_list_path(network)
    # Any, as mypy takes each attribute of an nn.Module for a tensor or a module.
    whole: Any = network.get_submodule(path)
    network.set_submodule(path, nn.ModuleList(whole[number] for number in layers))
    there = {name for name, _ in network.named_modules()}
    holder: Any = network
    holder.roles = {
        role: [path for path in paths if module_path(path) in there]
        for role, paths in _roles(network).items()
    }
    _configure(network, ("num_hidden_layers", "n_layers"), len(layers))
    return network


def heads_structure(network: nn.Module, heads: int) -> nn.Module:
    """Give each layer so many heads, whose weights are to be loaded later."""
    return keep_heads(network, [torch.arange(heads)] * len(encoder_layers(network)))


def units_structure(network: nn.Module, units: int) -> nn.Module:
    """Give each layer's feed-forward part so many units, whose weights are to be loaded later."""
    return keep_units(network, [torch.arange(units)] * len(encoder_layers(network)))


def layer_list_path(network: nn.Module) -> str:
    """Return the path of the list of an encoder's layers; empty if there is none."""
    return list_of_layers(network, _roles(network).get("stages", [])) or ""


def head_width(network: nn.Module, layer: EncoderLayer) -> int:
    """Return the channels of a head."""
    query: Any = network.get_submodule(layer.query)
    return query.out_features // attention_heads(network, layer.query)


def _roles(network: nn.Module) -> dict[str, list[str]]:
    roles: dict[str, list[str]] = getattr(network, "roles", {})
    return roles


def _linear(network: nn.Module, layer: str, names: Sequence[str]) -> str:
    paths = {path for path, module in network.named_modules() if isinstance(module, nn.Linear)}
    found = [f"{layer}.{name}" for name in names if f"{layer}.{name}" in paths]
    if not found:
        raise UserError(
            f"the layers of {type(network).__name__} are of an unknown kind: {layer!r} has none of"
            f" {', '.join(names)}."
        )
    return found[0]


def _keep_outputs(network: nn.Module, path: str, units: Tensor) -> None:
    linear: Any = network.get_submodule(path)
    rows = units.to(linear.weight.device)
    linear.weight = nn.Parameter(linear.weight.detach()[rows], linear.weight.requires_grad)
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.detach()[rows], linear.bias.requires_grad)
    linear.out_features = len(units)


def _keep_inputs(network: nn.Module, path: str, units: Tensor) -> None:
    linear: Any = network.get_submodule(path)
    columns = linear.weight.detach()[:, units.to(linear.weight.device)].contiguous()
    linear.weight = nn.Parameter(columns, linear.weight.requires_grad)
    linear.in_features = len(units)


def _configure(network: nn.Module, keys: Sequence[str], value: int) -> None:
    """Set a key of a config of transformers, where it has one of these."""
    config = getattr(getattr(network, "network", None), "config", None)
    for key in keys:
        if hasattr(config, key):
            setattr(config, key, value)
