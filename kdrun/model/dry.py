"""One forward pass before any work, so that images too small fail in a sentence."""

import torch
from torch import nn

from kdrun.core.errors import Fault
from kdrun.core.types import DataInfo

_MEND = "use larger images or a network such as resnet8"


def try_forward(where: str, network: nn.Module, data: DataInfo) -> list[Fault]:
    """Send two zero images through a network in eval mode.

    Args:
        where: `teacher` or `student`, for the message.
        network: from (B, C, H, W) to (B, classes); its mode and weights stay as they are.
        data: the size of the images and the number of classes.

    Returns:
        At most one fault: the images don't fit the network, or its answers don't fit the classes.
    """
    height, width = data.image_size
    images = f"{height}x{width} images with {data.channels} channels"
    kind = type(network).__name__
    try:
        answers = _answer(network, data)
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        return [Fault(where, f"{kind} cannot take {images}: {reason}; {_MEND}")]
    found = tuple(getattr(answers, "shape", ()))
    if found == (2, data.num_classes):
        return []
    told = f"answers of shape {found}" if found else f"a {type(answers).__name__}"
    expected = (2, data.num_classes)
    return [Fault(where, f"{kind} gives {told} for 2 {images}; {expected} is needed")]


def _answer(network: nn.Module, data: DataInfo) -> object:
    device = next((value.device for value in network.parameters()), torch.device("cpu"))
    images = torch.zeros(2, data.channels, *data.image_size, device=device)
    training = network.training
    try:
        network.eval()
        with torch.no_grad():
            return network(images)
    finally:
        network.train(training)
