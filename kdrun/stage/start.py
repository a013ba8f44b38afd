"""What networks start from: drawn weights, a teacher's, parts of a teacher."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kdrun import model
from kdrun.core.seeds import seed_of
from kdrun.dataset.data import Data


def build_network(node: Mapping[str, Any], data: Data, seed: int, role: str) -> nn.Module:
    """A network with the weights that this seed gives to this role."""
    torch.manual_seed(seed_of(seed, "init", role))
    return model.build(node, data.info)


def borrowed(network: nn.Module) -> Mapping[str, str]:
    """The parts that a network has from its teacher and that don't learn: path here -> there."""
    parts = getattr(network, "borrows", {})
    return parts if isinstance(parts, dict) else {}


def borrow(network: nn.Module, teacher: nn.Module) -> None:
    """Copy the weights of those parts."""
    for own, other in borrowed(network).items():
        network.get_submodule(own).load_state_dict(teacher.get_submodule(other).state_dict())


def take_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Take over each tensor whose name and shape agree; how many weights did, in words."""
    own = network.state_dict()
    fitting = {
        name: value
        for name, value in weights.items()
        if name in own and own[name].shape == value.shape
    }
    network.load_state_dict(fitting, strict=False)
    learned = [name for name, _ in network.named_parameters()]
    count = sum(name in fitting for name in learned)
    return [f"started from {count} of {len(learned)} weights of the teacher"]
