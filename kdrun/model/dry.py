"""Forward passes before any work, so that what a network can't take fails in a sentence."""

from copy import deepcopy

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


def try_training(where: str, network: nn.Module, data: DataInfo, samples: int) -> list[Fault]:
    """Send as few images through a network as a training step may hand it.

    A batch norm can't normalize a single value, which a part of one image gives it where the
    network has shrunk the image to one pixel.

    Args:
        where: `teacher` or `student`, for the message.
        network: in the mode that it is trained in; a copy is tried, as norms count in training.
        data: the size of the images.
        samples: the fewest that are computed at once.

    Returns:
        At most one fault.
    """
    try:
        with torch.random.fork_rng(devices=[]):  # for dropout and its like
            _forward(deepcopy(network), data, min(samples, 2))  # two values are always enough
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        what = f"cannot be trained on {samples} sample{'s' if samples > 1 else ''} at a time"
        why = "a norm of it would see one value per channel"
        mend = "use a larger recipe.batch_size or a smaller recipe.accumulate"
        return [Fault(where, f"{type(network).__name__} {what}: {why}; {mend}")]
    return []


def _answer(network: nn.Module, data: DataInfo) -> object:
    training = network.training
    try:
        return _forward(network.eval(), data, 2)
    finally:
        network.train(training)


@torch.no_grad()
def _forward(network: nn.Module, data: DataInfo, samples: int) -> object:
    device = next((value.device for value in network.parameters()), torch.device("cpu"))
    return network(torch.zeros(samples, data.channels, *data.image_size, device=device))
