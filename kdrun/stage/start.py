"""What networks start from: drawn weights, a teacher's, parts of a teacher, an earlier stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdrun import model
from kdrun.compress.frozen_zeros import FrozenZeros
from kdrun.compress.quantize.requantize import is_quantized
from kdrun.compress.quantize.trainable import to_int8, to_trainable
from kdrun.compress.structure_changes import Change, weights_with_zeros, zeros_change
from kdrun.compress.weight_pruning import WeightPruning
from kdrun.core.seeds import seed_of
from kdrun.dataset.data import Data
from kdrun.engine.weights import copy_weights
from kdrun.stage.artefact import Artefact


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


@dataclass(frozen=True)
class Start:
    """A network that is going to learn.

    Attributes:
        network: with the weights that it starts from.
        changes: how its structure differs from that of its config node.
        frozen_zeros: which of its weights are 0 and stay so.
    """

    network: nn.Module
    changes: Sequence[Change] = ()
    frozen_zeros: FrozenZeros | None = None

    def stored(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Weights that were learned as they are kept: of a quantized network as whole numbers."""
        if not is_quantized(self.changes):
            return weights
        self.network.load_state_dict(weights)
        return copy_weights(to_int8(self.network))


def go_on(before: Artefact, pruning: WeightPruning | None) -> Start:
    """Start from what an earlier stage left; weights that were pruned stay so."""
    network, changes = before.network(), list(before.changes)
    if is_quantized(changes):
        network = to_trainable(network)
    learning = dict(network.named_parameters())  # rounded weights alone stay as they are
    names = [name for name in weights_with_zeros(changes) if name in learning]
    gradual = pruning.gradual(network) if pruning is not None else None
    if gradual is not None:
        changes.append(zeros_change(gradual.names))
    frozen_zeros = FrozenZeros(network, names, gradual) if names or gradual is not None else None
    return Start(network, changes, frozen_zeros)
