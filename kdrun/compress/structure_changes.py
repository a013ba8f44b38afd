"""What compression changed in a network's structure: plain data that is done again to rebuild it.

A compressed network is the network of its config node, changed in order, then filled with weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from kdrun.core.registry import resolve, settings_of

Change = Mapping[str, Any]  # {"name": ..., and what its function takes}
Ranges = dict[
    str, dict[str, list[float]]
]  # activation -> what was seen and what is kept: low, high

CHANGES = {
    "channels": "kdrun.compress.channels.plan:channels",
    "fold": "kdrun.compress.fold_batch_norm:fold",
    "low_rank": "kdrun.compress.low_rank:reshape",
    "quantize": "kdrun.compress.quantize.static:quantize",
    "quantize_dynamic": "kdrun.compress.quantize.dynamic:quantize_dynamic",
    "quantize_weights": "kdrun.compress.quantize.weight_only:quantize_weights",
    "zeros": "kdrun.compress.masks:keep",
}


def rebuild(network: nn.Module, changes: Sequence[Change]) -> nn.Module:
    """A newly built network with the structure that compression gave it; weights mean nothing.

    Raises:
        UserError: a change that this kdrun doesn't know.
    """
    for change in changes:
        network = resolve("change", CHANGES, change["name"])(network, **settings_of(change))
    return network


def zeros(names: Sequence[str]) -> Change:
    """That weights of these names have zeros, which stay when the network learns on."""
    return {"name": "zeros", "weights": list(names)}


def zeros_of(changes: Sequence[Change]) -> list[str]:
    """The names of all weights with zeros that stay."""
    found = (change["weights"] for change in changes if change["name"] == "zeros")
    return list(dict.fromkeys(name for names in found for name in names))
