"""Networks by name: kdrun's own, torchvision's classifiers, timm's.

Importing this package loads no network library; asking for a network loads what it needs.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kdrun.core.errors import Fault, UserError
from kdrun.core.registry import resolve, settings_of
from kdrun.core.unknown import unknown_name
from kdrun.model.table import COMPOSED, MODELS

if TYPE_CHECKING:
    from torch import nn

    from kdrun.core.types import DataInfo

GIVEN = ("num_classes", "in_channels", "image_size")


def names() -> list[str]:
    """Every name that `builder` knows; loads torchvision."""
    from kdrun.model.image.vision import classifiers

    return sorted({*MODELS, *classifiers()})


def builder(name: str) -> Callable[..., "nn.Module"]:
    """What builds the network of this name; its parameters are those of the config node.

    Raises:
        UserError: no such name; the message has the nearest ones.
    """
    table = {**MODELS, **COMPOSED}
    if name in table:
        return resolve("model", table, name)
    from kdrun.model.image.vision import build_torchvision, classifiers

    if name in classifiers():
        return build_torchvision
    raise unknown_name("model", name, names(), "kdrun list models")


def build(node: Mapping[str, Any], data: "DataInfo") -> "nn.Module":
    """A new network from a config node, with weights drawn from torch's global generator.

    Args:
        node: `{name: ..., key: value, ...}`, checked before.
        data: decides what the node doesn't say: classes, channels and image size.

    Raises:
        UserError: no such name, or no such network for these images.
    """
    make = builder(node["name"])
    parameters = inspect.signature(make).parameters
    given = {
        "name": node["name"],
        "num_classes": data.num_classes,
        "in_channels": data.channels,
        "image_size": data.image_size,
    }
    settings = {key: value for key, value in given.items() if key in parameters}
    try:
        return make(**settings_of(node), **settings)
    except (ValueError, AssertionError) as error:
        height, width = data.image_size
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{node['name']} can't be built for {height}x{width} images: {reason}"
        ) from error


def title(node: Mapping[str, Any]) -> str:
    """What a network is called in tables: its name, or those of the networks it is made of."""
    if node["name"] == "reused_head":
        return f"{node['student']['name']} + head of {node['teacher']['name']}"
    if node["name"] == "committee":
        return " + ".join(title(member) for member in node["members"])
    return str(node["name"])


def main_part(node: Mapping[str, Any]) -> str:
    """The name of the model whose settings, such as a learning rate of its own, a network has."""
    parts = [node["student"]] if "student" in node else node.get("members", [])
    return main_part(parts[0]) if parts else str(node["name"])


def module_roles(network: "nn.Module") -> dict[str, list[str]]:
    """Module paths by role: `stages` in order of depth, `embedding`, `logits`."""
    from kdrun.model.roles import find_roles

    return find_roles(network)


def check_forward(where: str, network: "nn.Module", data: "DataInfo") -> list[Fault]:
    """Whether a network takes a dataset's images and answers with its classes."""
    from kdrun.model.dry import try_forward

    return try_forward(where, network, data)


def check_training(where: str, network: "nn.Module", data: "DataInfo", samples: int) -> list[Fault]:
    """Whether a network, in the mode it trains in, takes so few samples at a time."""
    from kdrun.model.dry import try_training

    return try_training(where, network, data, samples)
