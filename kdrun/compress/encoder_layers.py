"""Finds the parts of the layers of a transformer encoder of texts."""

from typing import Any, NamedTuple

from torch import nn

from kdrun.core.errors import UserError

FAMILIES = ("bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta")
# Names, within a layer, of its two feed-forward layers: kdrun's own, BERT's and DistilBERT's.
_FEED_FORWARD = (
    ("feed_forward.0", "feed_forward.2"),
    ("intermediate.dense", "output.dense"),
    ("ffn.lin1", "ffn.lin2"),
)


class FeedForward(NamedTuple):
    """The paths of the two linear layers of a feed-forward part."""

    incoming: str
    outgoing: str


def encoder_config(network: nn.Module) -> Any:
    """Return transformers' config of a network of Hugging Face, None for others."""
    return getattr(getattr(network, "network", None), "config", None)


def feed_forward_parts(network: nn.Module) -> list[FeedForward]:
    """Return the feed-forward part of each layer.

    Raises:
        UserError: the network is no encoder that is known, or its linear layers were replaced.
    """
    config = encoder_config(network)
    known = config is None or config.model_type in FAMILIES
    linear = {path for path, module in network.named_modules() if type(module) is nn.Linear}
    parts = [
        FeedForward(f"{path}.{incoming}", f"{path}.{outgoing}")
        for path, _ in network.named_modules()
        for incoming, outgoing in _FEED_FORWARD
        if {f"{path}.{incoming}", f"{path}.{outgoing}"} <= linear
    ]
    layers: Any = getattr(network, "roles", {})
    if not known or not parts or len(parts) != len(layers.get("stages", ())):
        raise UserError(
            f"{type(network).__name__} has no feed-forward parts in float that can be pruned.",
            f"  networks that have: text_transformer, and hf of {', '.join(FAMILIES)};"
            " prune before low_rank and quantization",
        )
    return parts
