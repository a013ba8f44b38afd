"""Makes the network that a training starts with, and its weights."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from kdrun import model
from kdrun.compress.frozen_zeros import FrozenZeros
from kdrun.compress.quantize.trainable import to_int8, to_trainable
from kdrun.compress.structure_changes import Change, is_quantized, weights_with_zeros, zeros_change
from kdrun.compress.weight_pruning import WeightPruning
from kdrun.core.config import Lora
from kdrun.core.number_format import many
from kdrun.core.seeds import seed_of
from kdrun.dataset.data import Data
from kdrun.engine.weights import copy_weights
from kdrun.model.low_rank_adapters import add_adapters, merged
from kdrun.stage.artefact import Artefact
from kdrun.stage.start_files import load_folder_weights
from kdrun.stage.word_vectors import load_vectors


def build_network(node: Mapping[str, Any], data: Data, seed: int, role: str) -> nn.Module:
    """Build a network with random weights, which depend on the seed and the role."""
    torch.manual_seed(seed_of(seed, "init", role))
    return model.build(node, data.info)


def load_start(network: nn.Module, node: Mapping[str, Any], data: Data) -> list[str]:
    """Load the weights of the files that a config node names; return sentences on them.

    Args:
        network: the network of the node.
        node: may name word vectors (`vectors`), or a Hugging Face folder.
        data: has the tokenizer of the network.
    """
    if node.get("vectors"):
        encoding: Any = network.encoding
        words = data.tokenizers[encoding.name].tokens(range(encoding.size))
        return load_vectors(network, words, node["vectors"])
    if node["name"] == "hf" and node["pretrained"]:
        return load_folder_weights(network, node["path"])
    return []


def shared_modules(network: nn.Module) -> Mapping[str, str]:
    """Return path of a frozen copy of a teacher's module -> the module's path in the teacher."""
    paths = getattr(network, "borrows", {})
    return paths if isinstance(paths, dict) else {}


def copy_shared_modules(network: nn.Module, teacher: nn.Module) -> None:
    """Copy the teacher's weights into the modules that `shared_modules` returns."""
    for path, teacher_path in shared_modules(network).items():
        weights = teacher.get_submodule(teacher_path).state_dict()
        network.get_submodule(path).load_state_dict(weights)


def copy_teacher_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Copy each tensor whose name and shape agree; return sentences on how many were copied."""
    state = network.state_dict()
    matching = {
        name: value
        for name, value in weights.items()
        if name in state and state[name].shape == value.shape
    }
    network.load_state_dict(matching, strict=False)
    parameters = [name for name, _ in network.named_parameters()]
    count = sum(name in matching for name in parameters)
    return [f"started from {count} of {len(parameters)} weights of the teacher"]


@dataclass(frozen=True)
class Start:
    """The network that a training starts with.

    Attributes:
        network: the network with its starting weights.
        changes: how its structure differs from that of its config node.
        frozen_zeros: keeps weights of the network 0.
        notes: sentences on where the weights come from.
        complete: whether all weights were loaded, so that nothing has to be trained.
        frozen: names of parameters that don't learn, beside those of the config.
    """

    network: nn.Module
    changes: Sequence[Change] = ()
    frozen_zeros: FrozenZeros | None = None
    notes: Sequence[str] = ()
    complete: bool = False
    frozen: tuple[str, ...] = ()

    def adapted(self, lora: Lora) -> Self:
        """Return the start with low-rank adapters in the network."""
        frozen = add_adapters(self.network, **lora.model_dump())
        parameters = dict(self.network.named_parameters())
        learning = sum(value.numel() for name, value in parameters.items() if name not in frozen)
        note = f"adapters of rank {lora.rank} and the head learn: {many(learning, 'parameter')}"
        return replace(self, notes=[*self.notes, note], frozen=tuple(frozen))

    def stored(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Convert trained weights to the artefact's form.

        A quantized network stores integers, and adapters are merged into their layers.
        """
        weights = merged(self.network, weights)
        if not is_quantized(self.changes):
            return weights
        self.network.load_state_dict(weights)
        return copy_weights(to_int8(self.network))


def start_from_stage(before: Artefact, pruning: WeightPruning | None) -> Start:
    """Start from the network of an earlier stage; pruned weights stay 0."""
    network, changes = before.network(), list(before.changes)
    if is_quantized(changes):
        network = to_trainable(network)
    trainable = dict(network.named_parameters())  # without integer weights, which don't learn
    names = [name for name in weights_with_zeros(changes) if name in trainable]
    gradual = pruning.gradual(network) if pruning is not None else None
    if gradual is not None:
        changes.append(zeros_change(gradual.names))
    frozen_zeros = FrozenZeros(network, names, gradual) if names or gradual is not None else None
    return Start(network, changes, frozen_zeros)
