"""Finds how many attention heads a layer of a transformer has."""

from torch import nn

from kdrun.core.errors import UserError
from kdrun.core.taps import module_path

# Names of the attribute in kdrun's own networks and in those of Hugging Face.
_ATTRIBUTES = ("heads", "num_attention_heads", "num_heads", "n_heads")


def attention_heads(network: nn.Module, path: str) -> int:
    """Return the number of attention heads of a layer.

    It is an attribute of a module around the projection, or of the network's config.

    Args:
        network: a transformer.
        path: the tap path of the layer's query projection.

    Raises:
        UserError: no module around the projection has such an attribute.
    """
    holder, attribute = _holder(network, path)
    heads: int = getattr(holder, attribute)
    return heads


def set_attention_heads(network: nn.Module, path: str, heads: int) -> None:
    """Tell a layer whose heads were pruned how many it has now; see `attention_heads`."""
    setattr(*_holder(network, path), heads)


def _holder(network: nn.Module, path: str) -> tuple[object, str]:
    """Return what says the number of attention heads of a layer, and the attribute's name."""
    names = module_path(path).split(".")
    around = [network.get_submodule(".".join(names[:end])) for end in range(len(names), -1, -1)]
    for holder in (*around, getattr(network, "config", None)):
        for attribute in _ATTRIBUTES:
            if isinstance(getattr(holder, attribute, None), int):
                return holder, attribute
    raise UserError(
        f"no module around {path!r} says how many attention heads it has.",
        f"  it should have one of the attributes {', '.join(_ATTRIBUTES)}",
    )
