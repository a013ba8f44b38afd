"""Records the calls of a network's modules in one forward pass."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kdrun.core.inputs.types import Inputs, to_device
from kdrun.core.mode import evaluating


class ModuleCall(NamedTuple):
    """One call of a module in a forward pass, with its first input and its output, a tensor."""

    path: str
    module: nn.Module
    module_input: Any
    output: Tensor


def record_calls(network: nn.Module, inputs: Inputs) -> list[ModuleCall]:
    """Run inputs in eval mode; return the module calls that give a tensor, in order of their ends.

    Args:
        network: the network; it is not changed.
        inputs: a batch of inputs on the CPU.
    """
    calls: list[ModuleCall] = []
    handles = []
    for path, module in network.named_modules():

        def record(
            module: nn.Module, inputs: tuple[Any, ...], output: Any, path: str = path
        ) -> None:
            if isinstance(output, Tensor):
                calls.append(ModuleCall(path, module, inputs[0] if inputs else None, output))

        handles.append(module.register_forward_hook(record))
    device = next(network.parameters()).device
    try:
        with evaluating(network), torch.no_grad():
            network(to_device(inputs, device))
    finally:
        for handle in handles:
            handle.remove()
    return calls
