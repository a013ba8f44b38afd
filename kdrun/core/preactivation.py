"""Where a network's maps are before an activation cut them off."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.core.types import DataInfo

_ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.CELU,
    nn.SELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardtanh,
    nn.Softplus,
)


@dataclass
class _Call:
    """One module's use in a forward pass."""

    path: str
    module: nn.Module
    given: Any
    answer: Any


def before_activation(network: nn.Module, path: str, data: DataInfo) -> str:
    """The place of what an activation makes a module's output of, as one forward pass shows it.

    What enters the activation that gives the output; else, as in pre-activation networks, what
    enters the activation that reads the output, with a norm between or not; else the output.
    """
    calls = _trace(network, data)
    answers = [call.answer for call in calls if call.path == path]
    if not answers:
        return path
    output = answers[-1]
    for call in reversed(calls):
        if isinstance(call.module, _ACTIVATIONS) and call.answer is output:
            return f"{call.path}:in"
    readers = [call for call in calls if call.given is output and call.path != path]
    for reader in readers:
        for call in calls:
            read = call.given is output or call.given is reader.answer
            if isinstance(call.module, _ACTIVATIONS) and read and _is_norm(reader, call):
                return f"{call.path}:in"
    return path


def _is_norm(reader: _Call, activation: _Call) -> bool:
    """Whether between the output and the activation there is no more than a norm."""
    return reader is activation or isinstance(reader.module, nn.modules.batchnorm._BatchNorm)


def _trace(network: nn.Module, data: DataInfo) -> list[_Call]:
    """All modules' calls for two zero images in eval mode, in the order in which they end."""
    calls: list[_Call] = []
    handles = []
    for path, module in network.named_modules():

        def keep(module: nn.Module, inputs: tuple[Any, ...], answer: Any, path: str = path) -> None:
            calls.append(_Call(path, module, inputs[0] if inputs else None, answer))

        handles.append(module.register_forward_hook(keep))
    modes = {module: module.training for module in network.modules()}
    device = next(network.parameters()).device
    try:
        network.eval()
        with torch.no_grad():
            network(torch.zeros(2, data.channels, *data.image_size, device=device))
    finally:
        for module, training in modes.items():
            module.training = training
        for handle in handles:
            handle.remove()
    return [call for call in calls if isinstance(call.answer, Tensor)]
