"""Finds the modules of encoders of transformers that have a role, by the structure they share."""

from collections.abc import Sequence

from torch import nn

_PROJECTIONS = {
    "queries": ("query", "query_proj", "q_lin", "q"),
    "keys": ("key", "key_proj", "k_lin", "k"),
    "values": ("value", "value_proj", "v_lin", "v"),
}
# Classes of layers that return tuples -> the module in them that returns the hidden states.
_HIDDEN_STATES = {"DebertaV2Layer": ".output", "MPNetLayer": ".output"}


def encoder_roles(network: nn.Module, body: nn.Module) -> dict[str, list[str]]:
    """Return role -> module paths.

    Args:
        network: the whole network.
        body: the part of it that makes the hidden states.
    """
    paths = {module: path for path, module in network.named_modules()}
    start = f"{paths[body]}."
    stages = layer_paths(body)
    layers = [start + path for path in stages]
    projections = {
        role: [path for layer in layers for path in _linear(network, layer, names)[:1]]
        for role, names in _PROJECTIONS.items()
    }
    linear = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    outside = [path for path in linear if not path.startswith(start)]
    head = outside[-1]
    return {
        "tokens": [f"{start}embeddings"],
        "stages": [layer + _hidden_states(network, layer) for layer in layers],
        "embedding": [f"{head}:in"],
        "logits": [head],
        **{role: found for role, found in projections.items() if len(found) == len(layers)},
    }


def layer_paths(body: nn.Module) -> list[str]:
    """Return the paths of the layers: the longest list of modules of one class."""
    lists = [
        (path, module)
        for path, module in body.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(layer) for layer in module}) == 1
    ]
    if not lists:
        return []
    path, layers = max(lists, key=lambda item: len(item[1]))
    return [f"{path}.{number}" for number in range(len(layers))]


def _hidden_states(network: nn.Module, layer: str) -> str:
    return _HIDDEN_STATES.get(type(network.get_submodule(layer)).__name__, "")


def _linear(network: nn.Module, layer: str, names: Sequence[str]) -> list[str]:
    """Return the paths of the linear layers in a layer whose last name is one of `names`."""
    return [
        f"{layer}.{path}"
        for path, module in network.get_submodule(layer).named_modules()
        if isinstance(module, nn.Linear) and path.rpartition(".")[2] in names
    ]
