"""Records of how compression changed the structure of a network, used to rebuild it.

An artefact's model.json lists them in order. To load a compressed network, the network of its
config node is built, these changes are applied, and the weights are loaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from torch import nn

from kdrun.core.registry import resolve, settings_of

Change = Mapping[str, Any]  # {"name": a key of CHANGES, and the arguments of its function}


class ActivationRange(TypedDict):
    """The two ranges [low, high] of a calibrated activation."""

    seen: list[float]  # of its values over the calibration samples
    kept: list[float]  # of its values after clipping


ActivationRanges = dict[str, ActivationRange]  # by the name of the activation's graph node


@dataclass(frozen=True)
class CompressionResult:
    """A network after a compression step.

    Attributes:
        network: the changed network.
        changes: the records from which its structure is rebuilt, in order.
        notes: sentences for the user.
        ranges: the ranges of calibrated activations.
    """

    network: nn.Module
    changes: Sequence[Change] = ()
    notes: Sequence[str] = ()
    ranges: ActivationRanges = field(default_factory=dict)


STATIC, DYNAMIC, WEIGHTS = "quantize", "quantize_dynamic", "quantize_weights"
VOCABULARY = "vocabulary"
HEADS, UNITS, LAYERS = "heads", "feed_forward", "layers"  # of transformer encoders
QUANTIZING = (STATIC, DYNAMIC, WEIGHTS)  # names of the changes that quantize
CHANGES = {
    "channels": "kdrun.compress.channels.plan:apply_channel_plan",
    "fold": "kdrun.compress.fold_batch_norm:fold_batch_norms",
    "low_rank": "kdrun.compress.low_rank:low_rank_structure",
    STATIC: "kdrun.compress.quantize.static:static_structure",
    DYNAMIC: "kdrun.compress.quantize.dynamic:dynamic_structure",
    WEIGHTS: "kdrun.compress.quantize.weight_only:weight_only_structure",
    VOCABULARY: "kdrun.compress.vocabulary:vocabulary_structure",
    HEADS: "kdrun.compress.encoder_layers:heads_structure",
    UNITS: "kdrun.compress.encoder_layers:units_structure",
    LAYERS: "kdrun.compress.encoder_layers:keep_layers",
    "zeros": "kdrun.compress.masks:keep_structure",
}


def rebuild(network: nn.Module, changes: Sequence[Change]) -> nn.Module:
    """Apply structure changes to a newly built network, whose weights are loaded afterwards.

    Raises:
        UserError: this version of kdrun has no such change.
    """
    for change in changes:
        network = resolve("change", CHANGES, change["name"])(network, **settings_of(change))
    return network


def is_quantized(changes: Sequence[Change]) -> bool:
    """Return whether one of the changes to a network quantized it."""
    return any(change["name"] in QUANTIZING for change in changes)


def zeros_change(names: Sequence[str]) -> Change:
    """Return a record which says that zeros of these weights must stay 0 in later training."""
    return {"name": "zeros", "weights": list(names)}


def weights_with_zeros(changes: Sequence[Change]) -> list[str]:
    """Return the names of all weights whose zeros must stay 0."""
    lists = (change["weights"] for change in changes if change["name"] == "zeros")
    return list(dict.fromkeys(name for names in lists for name in names))
