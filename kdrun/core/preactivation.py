"""Finds where a module's output can be read before its activation function."""

from torch import nn

from kdrun.core.module_calls import ModuleCall, record_calls
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


def before_activation(network: nn.Module, path: str, data: DataInfo) -> str:
    """Return the tap path of a module's output before activation, searched in one forward pass.

    There are three cases:

    - an activation module computes the output: the path is the input of that activation, `PATH:in`;
    - an activation module reads the output, directly or after a batch norm, as in pre-activation
      networks: the path is the input of that activation;
    - otherwise the path is the module's own.

    Args:
        network: the network; it is run on two blank samples, and not changed.
        path: module path.
        data: the form of its inputs.
    """
    calls = record_calls(network, data.example(2))
    outputs = [call.output for call in calls if call.path == path]
    if not outputs:
        return path
    output = outputs[-1]
    for call in reversed(calls):
        if isinstance(call.module, _ACTIVATIONS) and call.output is output:
            return f"{call.path}:in"
    readers = [call for call in calls if call.module_input is output and call.path != path]
    for reader in readers:
        for call in calls:
            is_read = call.module_input is output or call.module_input is reader.output
            if isinstance(call.module, _ACTIVATIONS) and is_read and _is_direct(reader, call):
                return f"{call.path}:in"
    return path


def _is_direct(reader: ModuleCall, activation: ModuleCall) -> bool:
    """Return whether the reader of an output is the activation, or a batch norm in front of it."""
    return reader is activation or isinstance(reader.module, nn.modules.batchnorm._BatchNorm)
