"""Finds the list that holds the layers of a network."""

from collections.abc import Sequence

from torch import nn


def list_of_layers(network: nn.Module, stages: Sequence[str]) -> str | None:
    """Return the path of the innermost list that all stages are in; None if there is none.

    Args:
        network: the network.
        stages: module paths of its stages, from shallow to deep.
    """
    names = stages[0].split(".") if stages else []
    paths = [".".join(names[:end]) for end in range(len(names), 0, -1)]
    lists = [path for path in paths if isinstance(network.get_submodule(path), nn.ModuleList)]
    if not lists or not all(stage.startswith(f"{lists[0]}.") for stage in stages):
        return None
    return lists[0]
