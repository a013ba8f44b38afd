"""A student that answers through its teacher's classifier: what SimKD trains."""

from typing import Any, Literal

import torch
from pydantic import PositiveInt
from torch import nn

from kdrun import model
from kdrun.core.errors import UserError
from kdrun.core.taps import TappedNetwork
from kdrun.core.types import DataInfo

_INNER = 3  # kernel of the projector's middle convolution


def build_reused_head(
    student: dict[str, Any],
    teacher: dict[str, Any],
    at: Literal["auto", "maps", "embedding"],
    reduction: PositiveInt,
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
) -> nn.Module:
    """The student with a projector before its pooling, and the teacher's classifier as its own.

    Chen et al. 2022 (arXiv:2203.14001), section 3.2. The projector stays in the network, and
    counts; its output is the network's last stage. What is to be copied from the trained teacher
    is in the attribute `borrows`: module path here -> module path of the teacher.

    Args:
        student: the node of the network whose body is taken.
        teacher: the node of the network whose classifier is taken.
        at: where the projector stands: after the `maps` of the last stage, which takes networks
            that classify the average of these maps, or after the `embedding`; `auto` is maps
            where both networks are such.
        reduction: the projector's inner channels are the teacher's divided by it.

    Raises:
        UserError: one of the networks can't be cut there.
    """
    classes = tuple(str(number) for number in range(num_classes))
    info = DataInfo(classes, in_channels, image_size, train_size=1)
    own, other = _Cut(student, info), _Cut(teacher, info)
    for cut in (own, other):
        if at == "maps" and not cut.pools:
            raise UserError(
                f"{cut.name!r} does not classify the average of its last stage's maps.",
                "  put the projector after its embedding: loss.at=embedding",
            )
    classifier, network = other.network.get_submodule(other.head), own.network
    stages = model.module_roles(network)["stages"]
    if at != "embedding" and own.pools and other.pools:
        last, head = stages.pop(), own.head
        projector = conv_projector(own.width, other.width, reduction)
        network.set_submodule(last, nn.Sequential(network.get_submodule(last), projector))
        network.set_submodule(head, classifier)
    else:
        last, head = f"{own.head}.0", f"{own.head}.1"
        projector = linear_projector(own.width, other.width, reduction)
        network.set_submodule(own.head, nn.Sequential(projector, classifier))
    network.roles = {"stages": [*stages, last], "embedding": [f"{head}:in"], "logits": [head]}  # type: ignore[assignment]
    network.borrows = {head: other.head}  # type: ignore[assignment]
    return network


def conv_projector(channels: int, wanted: int, reduction: int) -> nn.Sequential:
    """1x1, 3x3 and 1x1 convolutions with norms, as the paper's: maps to maps of another depth."""
    inner = max(1, wanted // reduction)
    return nn.Sequential(
        *_conv(channels, inner, 1), *_conv(inner, inner, _INNER), *_conv(inner, wanted, 1)
    )


def linear_projector(width: int, wanted: int, reduction: int) -> nn.Sequential:
    """The same for vectors: linear layers with norms."""
    inner = max(1, wanted // reduction)
    return nn.Sequential(*_linear(width, inner), *_linear(inner, inner), *_linear(inner, wanted))


def _conv(channels: int, wanted: int, kernel: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, wanted, kernel, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(wanted), nn.ReLU()]


def _linear(width: int, wanted: int) -> list[nn.Module]:
    return [nn.Linear(width, wanted, bias=False), nn.BatchNorm1d(wanted), nn.ReLU()]


class _Cut:
    """A network as it is taken apart: its classifier, and what that reads.

    Attributes:
        head: module path of the classifier.
        width: channels that it reads.
        pools: whether it reads the average of the last stage's maps.
    """

    def __init__(self, node: dict[str, Any], info: DataInfo) -> None:
        self.name, self.network = node["name"], model.build(node, info).eval()
        roles = model.module_roles(self.network)
        self.head = roles["logits"][0]
        if not self.head:
            raise UserError(
                f"{self.name!r} has no linear layer that classifies, whose place could be taken."
            )
        places = {"read": roles["embedding"][0]}
        if roles["stages"]:
            places["maps"] = roles["stages"][-1]
        tapped = TappedNetwork(self.network, places)
        with torch.no_grad():
            seen = tapped(torch.rand(2, info.channels, *info.image_size)).taps
        tapped.close()
        self.network.train()
        read, maps = seen["read"], seen.get("maps")
        self.width = read.shape[1]
        self.pools = (
            maps is not None
            and maps.dim() == 4
            and maps.shape[1] == self.width
            and torch.allclose(maps.mean(dim=(2, 3)), read, rtol=1e-3, atol=1e-5)
        )
