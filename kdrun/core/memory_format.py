"""The memory format of a network: channels_last, or contiguous where a network needs that.

Convolutions are fastest in channels_last. A network that calls `view` on feature maps, or that has
3-d convolutions, fails in it.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kdrun.core.errors import first_line
from kdrun.core.mode import evaluating
from kdrun.core.types import DataInfo

_TOLERANCE = 1e-3  # of an output, relative to the largest: kernels sum in other orders


@dataclass(frozen=True)
class _MakeContiguous:
    """A forward pre-hook of a network, which makes its inputs contiguous.

    Attributes:
        reason: why the network needs this.
    """

    reason: str

    def __call__(self, network: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(contiguous(value) if isinstance(value, Tensor) else value for value in inputs)


def contiguous(images: Tensor) -> Tensor:
    """Return images (B, C, H, W) in contiguous memory format.

    Those with a single channel are contiguous in both formats. Layers choose by the strides, which
    a view sets as they are in the contiguous one.
    """
    images = images.contiguous()
    return images.flatten(1).unflatten(1, images.shape[1:]) if images.shape[1] == 1 else images


def move_network(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to the device, in channels_last unless it must stay contiguous."""
    network.to(device)
    return network if contiguous_reason(network) else network.to(memory_format=torch.channels_last)


def contiguous_reason(network: nn.Module) -> str:
    """Return why a network must stay contiguous; empty if it need not."""
    hooks = network._forward_pre_hooks.values()
    return next((hook.reason for hook in hooks if isinstance(hook, _MakeContiguous)), "")


def keep_contiguous(network: nn.Module, reason: str) -> None:
    """Make the inputs of a network contiguous, and its weights stay so, if there is a reason."""
    if reason and not contiguous_reason(network):
        network.register_forward_pre_hook(_MakeContiguous(reason))


@torch.no_grad()
def fault_in_channels_last(network: nn.Module, data: DataInfo) -> str:
    """Try a network in both memory formats; it is left unchanged.

    Args:
        network: a network of which this isn't known.
        data: the shape of its images.

    Returns:
        Why only contiguous images give what they should, in evaluation or in a step of training;
        empty if both formats do, or none.
    """
    device = next((value.device for value in network.parameters()), torch.device("cpu"))
    with torch.random.fork_rng(devices=[]), evaluating(network):
        images = torch.randn_like(data.example(2, device))  # type: ignore[arg-type]  # images
        try:
            expected = deepcopy(network)(images)
        except Exception:  # noqa: BLE001 - the check of networks reports it
            return ""
        try:
            output = deepcopy(network).to(memory_format=torch.channels_last)(
                images.to(memory_format=torch.channels_last)
            )
        except Exception as error:  # noqa: BLE001 - any is a reason
            return first_line(error)
        fault = _fault_in_training(network, images, torch.channels_last)
        if fault and not _fault_in_training(network, images, torch.contiguous_format):
            return fault
    if device.type == "meta" or not isinstance(expected, Tensor):
        return ""
    largest = float(expected.abs().max())
    if torch.allclose(output, expected, rtol=0, atol=_TOLERANCE * largest, equal_nan=True):
        return ""
    return "it computes other outputs there"


@torch.enable_grad()
def _fault_in_training(network: nn.Module, images: Tensor, form: torch.memory_format) -> str:
    """Return why a step of training fails in a memory format; empty if it does not.

    Args:
        network: is left unchanged; its copy is trained.
        images: (B, C, H, W), B of 2 or more for batch norm.
        form: the memory format of images and weights.
    """
    try:
        output = deepcopy(network).train().to(memory_format=form)(images.to(memory_format=form))
        if isinstance(output, Tensor) and output.requires_grad:
            output.sum().backward()
    except Exception as error:  # noqa: BLE001 - any is a reason
        return first_line(error)
    return ""
