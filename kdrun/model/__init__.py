"""Networks by name: kdrun's own, torchvision's classifiers, timm's.

Importing this package loads no network library; building a network loads the one it needs.
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

GIVEN = ("num_classes", "in_channels", "image_size")  # parameters that the dataset decides


def names() -> list[str]:
    """The names of all networks; loads torchvision."""
    from kdrun.model.image.torchvision_models import classifiers

    return sorted({*MODELS, *classifiers()})


def builder(name: str) -> Callable[..., "nn.Module"]:
    """The function or class that builds a network; its parameters are keys of the config node.

    Raises:
        UserError: there is no such name; the message has the nearest names.
    """
    table = {**MODELS, **COMPOSED}
    if name in table:
        return resolve("model", table, name)
    from kdrun.model.image.torchvision_models import build_torchvision, classifiers

    if name in classifiers():
        return build_torchvision
    raise unknown_name("model", name, names(), "kdrun list models")


def build(node: Mapping[str, Any], data: "DataInfo") -> "nn.Module":
    """A new network from a config node, with weights drawn from torch's global generator.

    Args:
        node: `{name: ..., key: value, ...}`, without faults.
        data: decides the number of classes, the channels and the image size.

    Raises:
        UserError: there is no such name, or the network can't be built for these images.
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
    """The name of a network in tables; for one made of several networks, all their names."""
    if node["name"] == "reused_head":
        return f"{node['student']['name']} + head of {node['teacher']['name']}"
    if node["name"] == "committee":
        return " + ".join(title(member) for member in node["members"])
    return str(node["name"])


def main_model(node: Mapping[str, Any]) -> str:
    """The name that recipes know a network by; for one made of several networks, the first one's.

    A recipe may have another learning rate for some names.
    """
    inner = [node["student"]] if "student" in node else node.get("members", [])
    return main_model(inner[0]) if inner else str(node["name"])


def module_roles(network: "nn.Module") -> dict[str, list[str]]:
    """Role -> module paths: `stages` in order of depth, `embedding`, `logits`."""
    from kdrun.model.roles import find_roles

    return find_roles(network)


def check_forward(where: str, network: "nn.Module", data: "DataInfo") -> list[Fault]:
    """The fault of a network that can't take a dataset's images, or that has other classes."""
    from kdrun.model.forward_checks import try_forward

    return try_forward(where, network, data)


def check_training(where: str, network: "nn.Module", data: "DataInfo", samples: int) -> list[Fault]:
    """The fault of a network that can't be trained on so few samples at a time."""
    from kdrun.model.forward_checks import try_training

    return try_training(where, network, data, samples)
