"""Builds the student of SimKD, which uses its teacher's classifier."""

from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import nn

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.inputs import InputDescription
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import DataInfo

_MIDDLE_KERNEL = 3  # kernel size of the projector's middle convolution


def build_reused_head(
    student: dict[str, Any],
    teacher: dict[str, Any],
    at: Literal["auto", "maps", "embedding"],
    reduction: PositiveInt,
    num_classes: int,
    inputs: InputDescription,
) -> nn.Module:
    """Build the student with a projector before its pooling and with the teacher's classifier.

    Chen et al. 2022 (arXiv:2203.14001), section 3.2. The projector stays in the network, and its
    parameters count; its output is the network's last stage. The attribute `borrows` maps the path
    of each module that is copied from the trained teacher to its path in the teacher.

    Args:
        student: config node of the network whose body is used.
        teacher: config node of the network whose classifier is used.
        at: position of the projector: after the `maps` of the last stage, for networks that
            classify the average of these maps, or after the `embedding`; `auto` means `maps` if
            both networks do so.
        reduction: the projector's inner channels are the teacher's divided by it.

    Raises:
        UserError: the projector can't be put at this position in one of the networks.
    """
    classes = tuple(str(number) for number in range(num_classes))
    info = DataInfo(classes, inputs, train_size=1)
    body, head = _SplitNetwork(student, info), _SplitNetwork(teacher, info)
    for part in (body, head):
        if at == "maps" and not part.pools:
            raise UserError(
                f"{part.name!r} does not classify the average of its last stage's maps.",
                "  put the projector after its embedding: loss.at=embedding",
            )
    classifier, network = head.network.get_submodule(head.classifier), body.network
    stages = model.module_roles(network)["stages"]
    if at != "embedding" and body.pools and head.pools:
        last, logits = stages.pop(), body.classifier
        projector = conv_projector(body.width, head.width, reduction)
        network.set_submodule(last, nn.Sequential(network.get_submodule(last), projector))
        network.set_submodule(logits, classifier)
    else:
        last, logits = f"{body.classifier}.0", f"{body.classifier}.1"
        projector = linear_projector(body.width, head.width, reduction)
        network.set_submodule(body.classifier, nn.Sequential(projector, classifier))
    network.roles = {"stages": [*stages, last], "embedding": [f"{logits}:in"], "logits": [logits]}  # type: ignore[assignment]
    network.borrows = {logits: head.classifier}  # type: ignore[assignment]
    return network


def conv_projector(channels: int, channels_out: int, reduction: int) -> nn.Sequential:
    """Return the paper's projector of maps: 1x1, 3x3 and 1x1 convolutions with norms."""
    inner = max(1, channels_out // reduction)
    return nn.Sequential(
        *_conv(channels, inner, 1),
        *_conv(inner, inner, _MIDDLE_KERNEL),
        *_conv(inner, channels_out, 1),
    )


def linear_projector(width: int, width_out: int, reduction: int) -> nn.Sequential:
    """Return a projector of vectors: linear layers with norms."""
    inner = max(1, width_out // reduction)
    return nn.Sequential(*_linear(width, inner), *_linear(inner, inner), *_linear(inner, width_out))


def _conv(channels: int, channels_out: int, kernel: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, channels_out, kernel, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]


def _linear(width: int, width_out: int) -> list[nn.Module]:
    return [nn.Linear(width, width_out, bias=False), nn.BatchNorm1d(width_out), nn.ReLU()]


class _SplitNetwork:
    """A network, split into body and classifier, between which a projector can be put.

    Attributes:
        name: the network's name.
        network: the network with random weights.
        classifier: module path of the classifier.
        width: channels of the classifier's input.
        pools: whether this input is the average of the last stage's maps.
    """

    def __init__(self, node: dict[str, Any], info: DataInfo) -> None:
        self.name, self.network = node["name"], model.build(node, info).eval()
        roles = model.module_roles(self.network)
        self.classifier = roles["logits"][0]
        if not self.classifier:
            raise UserError(
                f"{self.name!r} has no linear layer that classifies, which could be replaced."
            )
        paths = {"embedding": roles["embedding"][0]}
        if roles["stages"]:
            paths["maps"] = roles["stages"][-1]
        tapped = TappedNetwork(self.network, paths)
        with torch.no_grad():
            taps = tapped(info.inputs.random(2)).taps
        tapped.close()
        self.network.train()
        embedding, maps = taps["embedding"], taps.get("maps")
        self.width = embedding.shape[1]
        self.pools = (
            maps is not None
            and maps.dim() == 4
            and maps.shape[1] == self.width
            and torch.allclose(maps.mean(dim=(2, 3)), embedding, rtol=1e-3, atol=1e-5)
        )
