"""Forward passes on zeros before a run, to report a network that can't take the images."""

from copy import deepcopy

import torch
from torch import nn

from kdrun.core.errors import Fault, first_line
from kdrun.core.number_format import many
from kdrun.core.taps import forward_once
from kdrun.core.types import DataInfo

_HINT = "use larger images or a network such as resnet8"


def try_forward(where: str, network: nn.Module, data: DataInfo) -> list[Fault]:
    """Send two zero images through a network in eval mode.

    Args:
        where: `teacher` or `student`, for the message.
        network: maps (B, C, H, W) to (B, classes); its mode and weights are not changed.
        data: the size of the images and the number of classes.

    Returns:
        At most one fault: the network can't take the images, or its output has another shape.
    """
    height, width = data.image_size
    images = f"{height}x{width} images with {data.channels} channels"
    class_name = type(network).__name__
    try:
        logits: object = forward_once(network, {}, data).logits
    except (RuntimeError, ValueError, AssertionError, IndexError, TypeError) as error:
        what = f"{class_name} cannot take {images}: {first_line(error)}; {_HINT}"
        return [Fault(where, what)]
    shape, expected = tuple(getattr(logits, "shape", ())), (2, data.num_classes)
    if shape == expected:
        return []
    actual = f"logits of shape {shape}" if shape else f"a {type(logits).__name__}"
    return [Fault(where, f"{class_name} gives {actual} for 2 {images}; {expected} is needed")]


def try_training(where: str, network: nn.Module, data: DataInfo, samples: int) -> list[Fault]:
    """Send as few images through a network as a training step may compute at once.

    A batch norm can't normalize a single value per channel, which is all that it gets if the
    network has reduced a single image to one pixel.

    Args:
        where: `teacher` or `student`, for the message.
        network: a network in train mode; it is not changed, as a copy is run.
        data: the size of the images.
        samples: the smallest number of images that are computed at once.

    Returns:
        At most one fault.
    """
    device = next((value.device for value in network.parameters()), torch.device("cpu"))
    # Two images are always enough.
    images = torch.zeros(min(samples, 2), data.channels, *data.image_size, device=device)
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():  # dropout draws from the RNG
            deepcopy(network)(images)
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        problem = f"cannot be trained on {many(samples, 'sample')} at a time"
        reason = "a norm of it would see one value per channel"
        hint = "use a larger recipe.batch_size or a smaller recipe.accumulate"
        return [Fault(where, f"{type(network).__name__} {problem}: {reason}; {hint}")]
    return []
