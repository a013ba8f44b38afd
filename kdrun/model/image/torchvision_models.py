"""Builds torchvision's classifiers for any images, and loads their pretrained weights.

torchvision is imported where it is used, because it takes seconds to load and most runs don't use
it.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kdrun.core.errors import UserError, first_line
from kdrun.model.image.blocks import Form, is_small
from kdrun.model.image.stem import first_conv, is_swapped, stem_of, swap_stem, take_channels
from kdrun.model.roles import last_linear

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


def classifiers() -> list[str]:
    """Return the names of torchvision's image classifiers. This loads torchvision."""
    from torchvision import models

    return models.list_models(module=models)


def build_torchvision(
    name: str,
    stem: Form,
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
) -> nn.Module:
    """Build torchvision's network of this name for these images, with new weights.

    In-place operations are turned off, so that the output of a module, which a tap reads, is not
    overwritten by the next module.

    Args:
        stem: `cifar` makes the first convolution 3x3 with stride 1 and removes the max-pooling
            after it; `auto` does so for images of at most 64 pixels, in families in which this is
            possible; `imagenet` keeps torchvision's stem.

    Raises:
        UserError: `stem=cifar` for a family without such a stem, or images that are not square
            for a family that needs square ones.
    """
    from torchvision import models

    settings = _settings(name, in_channels, image_size)
    network = models.get_model(name, weights=None, num_classes=num_classes, **settings)
    large_stem = stem_of(network)
    if stem == "cifar" and large_stem is None:
        raise UserError(f"{name} has no stem to swap.", "  use stem=auto or stem=imagenet")
    if large_stem is not None and is_small(stem, image_size):
        swap_stem(network, large_stem)
    take_channels(network, in_channels)
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return network


def load_pretrained(network: nn.Module, name: str, weights: str) -> list[str]:
    """Load torchvision's pretrained weights into a network built under its name.

    Args:
        network: a network that `build_torchvision` made.
        name: torchvision's name of the network.
        weights: `DEFAULT`, or another of torchvision's weights for this name.

    Returns:
        The parameters that keep their values: those of a head for other classes, of a swapped stem,
        of a first layer for other channels, or of position embeddings for another image size. Empty
        if all parameters are pretrained.

    Raises:
        UserError: there are no such weights, they can't be downloaded, or they are for another
            network.
    """
    weights_entry = _choose(name, weights)
    if not type(network).__module__.startswith("torchvision."):
        raise UserError(
            f"torchvision's weights of {name!r} are for its own network, and this is the form for"
            " small images.",
            "  use form=imagenet, which is torchvision's",
        )
    state = _fetch(weights_entry)
    before = network.state_dict()
    loaded = {key: value for key, value in state.items() if _same_shape(before.get(key), value)}
    if is_swapped(network):
        loaded = {
            key: value
            for key, value in loaded.items()
            if not key.startswith(f"{first_conv(network)}.")
        }
    not_loaded = [
        key for key in before if key not in loaded and not key.endswith("num_batches_tracked")
    ]
    unexpected = [key for key in not_loaded if not key.startswith(_may_differ(network))]
    if unexpected:
        raise UserError(
            f"torchvision's weights of {name!r} don't fit this network: they have none for"
            f" {unexpected[0]!r} and {len(unexpected) - 1} more.",
        )
    network.load_state_dict(loaded, strict=False)
    return not_loaded


def _settings(name: str, in_channels: int, image_size: tuple[int, int]) -> dict[str, Any]:
    """Return keyword arguments of a network's builder, besides the number of classes."""
    if name.startswith("vit_"):
        height, width = image_size
        if height != width:
            raise UserError(
                f"{name} takes square images, and these are {height}x{width}.",
                "  set the dataset's image_size",
            )
        return {"image_size": height}
    if name.startswith("maxvit"):
        return {"input_size": image_size}
    if name in ("googlenet", "inception_v3"):
        # Their weights were trained on colors of another scale, which the networks convert to.
        convert = in_channels == 3
        return {"aux_logits": False, "init_weights": True, "transform_input": convert}
    return {}


def _choose(name: str, weights: str) -> "WeightsEnum":
    from torchvision import models

    if name not in classifiers():
        raise UserError(
            f"torchvision has no weights for {name!r}.",
            "  use teacher.checkpoint=PATH for another project's weights",
        )
    members = models.get_model_weights(name).__members__
    if weights not in members:
        raise UserError(
            f"{name} has no weights called {weights!r}.",
            f"  use weights=DEFAULT; all: {', '.join(members)}",
        )
    return members[weights]


def _fetch(weights: "WeightsEnum") -> dict[str, Tensor]:
    """Return the tensors of the weights, from torch's cache or a download."""
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        reason = first_line(error) if str(error) else "the file ends early"
        raise UserError(
            f"the weights {weights.url} can't be loaded: {reason}.",
            f"  put an intact copy of that file into {str(folder)!r}",
        ) from error
    return {_module_key(key): value for key, value in state.items()}


def _module_key(key: str) -> str:
    """Return a parameter's name in the network: DenseNet's files have `norm.1` for `norm1`."""
    if "denselayer" not in key:
        return key
    for layer in ("norm", "conv"):
        key = key.replace(f"{layer}.1.", f"{layer}1.").replace(f"{layer}.2.", f"{layer}2.")
    return key


def _same_shape(before: Tensor | None, value: Tensor) -> bool:
    return before is not None and before.shape == value.shape


def _may_differ(network: nn.Module) -> tuple[str, ...]:
    """Return prefixes of the parameters whose shapes depend on the images or the classes."""
    head = last_linear(network) or "classifier.1"  # SqueezeNet's head is a convolution
    return (f"{first_conv(network)}.", f"{head}.", "encoder.pos_embedding")
