"""Forward passes on zeros before a run, to report a network that can't take the images."""

from copy import deepcopy

import torch
from torch import nn

from kdrun.core.errors import Fault, first_line
from kdrun.core.number_format import many
from kdrun.core.taps import forward_once
from kdrun.core.types import DataInfo

_HINT = "use larger images or a network such as resnet8"
_FAILURES = (RuntimeError, ValueError, AssertionError, IndexError, TypeError)


def try_forward(where: str, network: nn.Module, data: DataInfo) -> list[Fault]:
    """Send two zero images through a network in eval mode.

    Args:
        where: `teacher` or `student`, for the message.
        network: maps (B, C, H, W) to (B, classes); its mode and weights are not changed.
        data: the size of the images and the number of classes.

    Returns:
        At most one fault: the network can't take the images, or its output has another shape.
    """
    try:
        logits: object = forward_once(network, {}, data).logits
    except _FAILURES as error:
        class_name = type(network).__name__
        what = f"{class_name} cannot take {data.inputs}: {first_line(error)}; {_HINT}"
        return [Fault(where, what)]
    return _shape_faults(where, network, logits, data)


def try_training(where: str, network: nn.Module, data: DataInfo, samples: int) -> list[Fault]:
    """Send as few images through a network as a training step may compute at once.

    A batch norm can't normalize a single value per channel, which is all that it gets if the
    network has reduced a single image to one pixel. Other networks have further outputs in
    training, such as those of auxiliary classifiers.

    Args:
        where: the config key of the network, for the message.
        network: a network in train mode; it is not changed, as a copy is run.
        data: the size of the images and the number of classes.
        samples: the smallest number of images that are computed at once.

    Returns:
        At most one fault.
    """
    device = next((value.device for value in network.parameters()), torch.device("cpu"))
    count = min(samples, 2)  # two images are always enough
    inputs = data.example(count, device)
    class_name = type(network).__name__
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():  # dropout draws from the RNG
            logits = deepcopy(network)(inputs)
    except _FAILURES as error:
        if "more than 1 value per channel" not in str(error):
            return [Fault(where, f"{class_name} fails in training mode: {first_line(error)}")]
        problem = f"cannot be trained on {many(samples, 'sample')} at a time"
        reason = "a norm of it would see one value per channel"
        hint = "use a larger recipe.batch_size or a smaller recipe.accumulate"
        return [Fault(where, f"{class_name} {problem}: {reason}; {hint}")]
    hint = "in training mode; let it return the logits alone, as in evaluation mode"
    return [
        Fault(where, f"{fault.what} {hint}")
        for fault in _shape_faults(where, network, logits, data, count)
    ]


def _shape_faults(
    where: str, network: nn.Module, logits: object, data: DataInfo, count: int = 2
) -> list[Fault]:
    """Return a fault if the output of a network for some images is no logits of the classes."""
    shape, expected = tuple(getattr(logits, "shape", ())), (count, data.num_classes)
    if shape == expected:
        return []
    actual = f"logits of shape {shape}" if shape else f"a {type(logits).__name__}"
    given = f"{type(network).__name__} gives {actual} for {count} {data.inputs}"
    return [Fault(where, f"{given}; {expected} is needed")]
