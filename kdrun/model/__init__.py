"""Networks by name: kdrun's own, torchvision's classifiers, timm's.

Importing this package loads no network library; building a network loads the one it needs.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from kdrun.core.errors import Fault, UserError, first_line
from kdrun.core.registry import resolve, settings_of
from kdrun.core.unknown import unknown_name
from kdrun.model.table import COMPOSED, MODELS

if TYPE_CHECKING:
    from torch import nn

    from kdrun.core.types import DataInfo

# Parameters of builders that come from the dataset.
GIVEN = ("num_classes", "inputs", "in_channels", "image_size", "encoding")


def names() -> list[str]:
    """Return the names of all networks. This loads torchvision."""
    from kdrun.model.image.torchvision_models import classifiers

    return sorted({*MODELS, *classifiers()})


def builder(name: str) -> Callable[..., "nn.Module"]:
    """Return the function or class that builds a network, whose parameters are config keys.

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
    """Build a network from a config node, with random weights from torch's global generator.

    Args:
        node: `{name: ..., key: value, ...}`, without faults.
        data: decides the number of classes, and what the inputs look like.

    Raises:
        UserError: there is no such name, or the network can't be built for these inputs.
    """
    make = builder(node["name"])
    parameters = inspect.signature(make).parameters
    arguments = {
        "name": node["name"],
        "num_classes": data.num_classes,
        "inputs": data.inputs,
        **data.inputs.arguments(node),
    }
    _refuse_other_inputs(node["name"], parameters, data)
    settings = {key: value for key, value in arguments.items() if key in parameters}
    try:
        network = make(**settings_of(node), **settings)
    except (ValueError, AssertionError) as error:
        raise UserError(
            f"{node['name']} can't be built for {data.inputs}: {first_line(error)}"
        ) from error
    if data.inputs.modality == "image":
        _choose_memory_format(node["name"], make, network, data)
    return network


def _refuse_other_inputs(name: str, parameters: Collection[str], data: "DataInfo") -> None:
    """Refuse a network of another modality than the dataset's.

    Args:
        name: the name of the network.
        parameters: the parameters of its builder.
        data: the dataset.

    Raises:
        UserError: the network reads texts, and the dataset has images, or the other way around.
    """
    reads_text = "encoding" in parameters
    if name in COMPOSED or reads_text == (data.inputs.modality == "text"):
        return
    kind = "texts" if reads_text else "images"
    raise UserError(
        f"{name!r} is a network for {kind}, and the dataset has {data.inputs}.",
        "  choose another network or another dataset; all of them: kdrun list models, kdrun list"
        " datasets",
    )


def _choose_memory_format(
    name: str, make: Callable[..., "nn.Module"], network: "nn.Module", data: "DataInfo"
) -> None:
    """Keep a network contiguous if it or a part of it fails in channels_last.

    kdrun's own networks and torchvision's are known to work in channels_last; others are tried.
    """
    from kdrun.core.memory_format import contiguous_reason, fault_in_channels_last, keep_contiguous

    reasons = map(contiguous_reason, network.modules())
    reason = next(filter(None, reasons), "")
    if not reason and (name == "timm" or not make.__module__.startswith("kdrun.")):
        reason = fault_in_channels_last(network, data)
    keep_contiguous(network, reason)


def title(node: Mapping[str, Any]) -> str:
    """Return the name of a network in tables; a composed network has the names of its parts."""
    if node["name"] == "reused_head":
        return f"{node['student']['name']} + head of {node['teacher']['name']}"
    if node["name"] == "committee":
        return " + ".join(title(member) for member in node["members"])
    return str(node["name"])


def rebuildable(node: Mapping[str, Any], network: "nn.Module") -> dict[str, Any]:
    """Return the config node of a network with what `build` would read from files of others."""
    record: Any = getattr(network, "record", {})
    return {**node, **(record if isinstance(record, dict) else {})}


def main_model(node: Mapping[str, Any]) -> str:
    """Return the name by which `lr_by_model` of recipes chooses a network's learning rate.

    A composed network has the name of its first part.
    """
    parts = [node["student"]] if "student" in node else node.get("members", [])
    return main_model(parts[0]) if parts else str(node["name"])


def module_roles(network: "nn.Module") -> dict[str, list[str]]:
    """Return role -> module paths: `stages` in order of depth, `embedding`, `logits`."""
    from kdrun.model.roles import find_roles

    return find_roles(network)


def check_forward(where: str, network: "nn.Module", data: "DataInfo") -> list[Fault]:
    """Return a fault if a network can't take a dataset's images or has other classes."""
    from kdrun.model.forward_checks import try_forward

    return try_forward(where, network, data)


def check_training(where: str, network: "nn.Module", data: "DataInfo", samples: int) -> list[Fault]:
    """Return a fault if a network can't be trained on so few samples at a time."""
    from kdrun.model.forward_checks import try_training

    return try_training(where, network, data, samples)
