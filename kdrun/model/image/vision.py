"""torchvision's classifiers: building them for any images, and their pretrained weights.

torchvision is imported where it is used, because most runs never need its seconds of loading.
"""

from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kdrun.core.errors import UserError
from kdrun.model.image.blocks import Form, is_small
from kdrun.model.image.stem import first_conv, is_swapped, stem_of, swap_stem, take_channels
from kdrun.model.roles import last_linear

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum


def classifiers() -> list[str]:
    """The names of torchvision's image classifiers; loads torchvision."""
    from torchvision import models

    return models.list_models(module=models)


def build_torchvision(
    name: str,
    stem: Form,
    num_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
) -> nn.Module:
    """torchvision's network of this name, with new weights, for these images.

    No operation of a module writes over its input, as torchvision's own do, so that a tap on the
    module before shows what that module answered.

    Args:
        stem: `cifar` makes the first convolution 3x3 with stride 1 and takes out the max-pooling
            after it; `auto` does so for images of at most 64 pixels, in families that have such a
            stem; `imagenet` leaves it.

    Raises:
        UserError: `stem=cifar` for a family without such a stem, or images that are not square
            for one that needs them so.
    """
    from torchvision import models

    settings = _settings(name, in_channels, image_size)
    network = models.get_model(name, weights=None, num_classes=num_classes, **settings)
    found = stem_of(network)
    if stem == "cifar" and found is None:
        raise UserError(f"{name} has no stem to swap.", "  use stem=auto or stem=imagenet")
    if found is not None and is_small(stem, image_size):
        swap_stem(network, found)
    take_channels(network, in_channels)
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False
    return network


def load_pretrained(network: nn.Module, name: str, weights: str) -> list[str]:
    """Load torchvision's own weights into a network built under its name.

    Args:
        network: from `build_torchvision`.
        name: torchvision's name of it.
        weights: `DEFAULT`, or another member of torchvision's weights for this name.

    Returns:
        The parameters that keep what they had: those of a head for other classes, of a swapped
        stem, of a first layer for other channels or of positions for another image size. Empty
        when the network is the pretrained one in full.

    Raises:
        UserError: no such weights, they can't be fetched, or the network is another one.
    """
    chosen = _choose(name, weights)
    if not type(network).__module__.startswith("torchvision."):
        raise UserError(
            f"torchvision's weights of {name!r} are for its own network, and this is the form for"
            " small images.",
            "  form=imagenet is torchvision's",
        )
    state = _fetch(chosen)
    own = network.state_dict()
    taken = {key: value for key, value in state.items() if _fits(own.get(key), value)}
    if is_swapped(network):
        taken = {
            key: value
            for key, value in taken.items()
            if not key.startswith(f"{first_conv(network)}.")
        }
    left = [key for key in own if key not in taken and not key.endswith("num_batches_tracked")]
    strange = [key for key in left if not key.startswith(_may_differ(network))]
    if strange:
        raise UserError(
            f"torchvision's weights of {name!r} don't fit this network: nothing for {strange[0]!r}"
            f" and {len(strange) - 1} more.",
        )
    network.load_state_dict(taken, strict=False)
    return left


def _settings(name: str, in_channels: int, image_size: tuple[int, int]) -> dict[str, Any]:
    """What a family's builder wants beyond the number of classes."""
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
        # Their weights were trained on colors scaled another way; they rescale by themselves.
        own_scale = in_channels == 3
        return {"aux_logits": False, "init_weights": True, "transform_input": own_scale}
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
    """The weights' tensors, from torch's cache or the network; never unpickled as objects."""
    try:
        state = weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        reason = str(error).splitlines()[0] if str(error) else "the file ends early"
        raise UserError(
            f"the weights {weights.url} can't be loaded: {reason}.",
            f"  put a sound copy of that file into {str(folder)!r}",
        ) from error
    return {_present_key(key): value for key, value in state.items()}


def _present_key(key: str) -> str:
    """DenseNet's files name `norm.1` what its modules call `norm1`."""
    if "denselayer" not in key:
        return key
    for part in ("norm", "conv"):
        key = key.replace(f"{part}.1.", f"{part}1.").replace(f"{part}.2.", f"{part}2.")
    return key


def _fits(own: Tensor | None, value: Tensor) -> bool:
    return own is not None and own.shape == value.shape


def _may_differ(network: nn.Module) -> tuple[str, ...]:
    """Prefixes of the parameters that depend on the images or the classes."""
    head = last_linear(network) or "classifier.1"  # SqueezeNet's head is a convolution
    return (f"{first_conv(network)}.", f"{head}.", "encoder.pos_embedding")
